// The native methods of Generator.java.
#include "generator.h"

#include <jni.h>

using faces::Generator;

static bool thrown(JNIEnv* env, const std::string& fault)
{
    if (fault.empty())
        return false;
    if (jclass type = env->FindClass("java/lang/IllegalArgumentException"))
        env->ThrowNew(type, fault.c_str());
    return true;
}

extern "C" JNIEXPORT jlong JNICALL Java_org_ncnnbuilder_faces_Generator_load(JNIEnv* env, jclass,
                                                                             jstring prefix, jint threads)
{
    const char* path = prefix ? env->GetStringUTFChars(prefix, nullptr) : nullptr;
    if (!path) {
        thrown(env, "there is no path");
        return 0;
    }
    auto* generator = new Generator();
    const std::string fault = generator->load(path, threads);
    env->ReleaseStringUTFChars(prefix, path);
    if (thrown(env, fault)) {
        delete generator;
        return 0;
    }
    return (jlong)generator;
}

extern "C" JNIEXPORT jint JNICALL Java_org_ncnnbuilder_faces_Generator_styles(JNIEnv*, jclass, jlong handle)
{
    return ((Generator*)handle)->num_ws();
}

extern "C" JNIEXPORT jintArray JNICALL Java_org_ncnnbuilder_faces_Generator_picture(JNIEnv* env, jclass,
                                                                                    jlong handle, jint seed,
                                                                                    jint other, jint first,
                                                                                    jfloat trunc)
{
    std::vector<uint32_t> argb;
    if (thrown(env, ((Generator*)handle)->picture((uint32_t)seed, (uint32_t)other, first, trunc, argb)))
        return nullptr;
    jintArray result = env->NewIntArray((jsize)argb.size());
    if (result) // else Java has thrown by itself
        env->SetIntArrayRegion(result, 0, (jsize)argb.size(), (const jint*)argb.data());
    return result;
}

extern "C" JNIEXPORT void JNICALL Java_org_ncnnbuilder_faces_Generator_free(JNIEnv*, jclass, jlong handle)
{
    delete (Generator*)handle;
}
