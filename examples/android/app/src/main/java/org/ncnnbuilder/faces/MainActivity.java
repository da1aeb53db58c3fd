package org.ncnnbuilder.faces;

import android.app.Activity;
import android.graphics.Bitmap;
import android.os.Bundle;
import android.view.Gravity;
import android.widget.Button;
import android.widget.ImageView;
import android.widget.LinearLayout;
import android.widget.SeekBar;
import android.widget.TextView;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A face; a button for the next one; a slider for how many styles of the one before stay. */
public final class MainActivity extends Activity {
    private static final String[] FILES = {
        "faces_mapping.param", "faces_mapping.bin", "faces_synthesis.param", "faces_synthesis.bin"
    };

    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private Generator generator; // of the worker's thread alone
    private ImageView image;
    private TextView text;
    private SeekBar slider;
    private int seed = 85;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        LinearLayout column = new LinearLayout(this);
        column.setOrientation(LinearLayout.VERTICAL);
        column.setGravity(Gravity.CENTER);
        image = new ImageView(this);
        text = new TextView(this);
        text.setGravity(Gravity.CENTER);
        slider = new SeekBar(this);
        slider.setMax(1);
        slider.setProgress(1);
        Button next = new Button(this);
        next.setText("Next");
        next.setOnClickListener(view -> show(++seed));
        slider.setOnSeekBarChangeListener(
                new SeekBar.OnSeekBarChangeListener() {
                    @Override
                    public void onProgressChanged(SeekBar bar, int first, boolean byUser) {
                        if (byUser) show(seed);
                    }

                    @Override
                    public void onStartTrackingTouch(SeekBar bar) {}

                    @Override
                    public void onStopTrackingTouch(SeekBar bar) {}
                });
        column.addView(image, new LinearLayout.LayoutParams(-1, 0, 1));
        column.addView(text);
        column.addView(slider);
        column.addView(next);
        setContentView(column);
        worker.execute(this::load);
    }

    private void load() {
        try {
            for (String name : FILES) copy(name);
            String prefix = new File(getFilesDir(), "faces").getPath();
            generator = new Generator(prefix, Math.min(4, Runtime.getRuntime().availableProcessors()));
            int styles = generator.styles();
            runOnUiThread(
                    () -> {
                        slider.setMax(styles);
                        slider.setProgress(styles);
                        show(seed);
                    });
        } catch (IOException | IllegalArgumentException error) {
            say(String.valueOf(error.getMessage()));
        }
    }

    /** ncnn reads files; what is in assets is part of the app's own. Whole or not at all. */
    private void copy(String name) throws IOException {
        File part = new File(getFilesDir(), name + ".part");
        try (InputStream in = getAssets().open(name);
                OutputStream out = new FileOutputStream(part)) {
            byte[] block = new byte[1 << 16];
            for (int count; (count = in.read(block)) > 0; ) out.write(block, 0, count);
        }
        if (!part.renameTo(new File(getFilesDir(), name))) throw new IOException(name + " cannot be written");
    }

    private void show(int number) {
        int first = slider.getProgress();
        worker.execute(
                () -> {
                    if (generator == null) return;
                    try {
                        long begun = System.nanoTime();
                        int[] pixels = generator.picture(number, number - 1, first, 0.7f);
                        long milliseconds = (System.nanoTime() - begun) / 1000000;
                        int side = (int) Math.round(Math.sqrt(pixels.length));
                        Bitmap bitmap = Bitmap.createBitmap(pixels, side, side, Bitmap.Config.ARGB_8888);
                        runOnUiThread(() -> image.setImageBitmap(bitmap));
                        say("seed " + number + ", " + milliseconds + " ms");
                    } catch (IllegalArgumentException error) {
                        say(String.valueOf(error.getMessage()));
                    }
                });
    }

    private void say(String words) {
        runOnUiThread(() -> text.setText(words));
    }

    @Override
    protected void onDestroy() {
        worker.execute(
                () -> {
                    if (generator != null) generator.close();
                });
        worker.shutdown();
        super.onDestroy();
    }
}
