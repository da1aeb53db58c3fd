plugins {
    id("com.android.application")
}

android {
    namespace = "org.ncnnbuilder.faces"
    compileSdk = 35
    ndkVersion = "27.2.12479018"

    defaultConfig {
        applicationId = "org.ncnnbuilder.faces"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "1"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") } // phones, and emulators
        externalNativeBuild {
            cmake {
                arguments += listOf("-DANDROID_STL=c++_static", "-DCMAKE_BUILD_TYPE=Release")
                // ncnn is built once by a Python that has the package unearth, or is one that you have:
                // ./gradlew assembleDebug -Ppython=$PWD/../../.venv/bin/python, or -Pncnn=.../lib/cmake/ncnn
                (project.findProperty("python") as String?)?.let { arguments += "-DPython_EXECUTABLE=$it" }
                (project.findProperty("ncnn") as String?)?.let { arguments += "-Dncnn_DIR=$it" }
            }
        }
    }
    externalNativeBuild {
        cmake {
            path = file("src/main/cpp/CMakeLists.txt")
            version = "3.24.0+"
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
}
