package org.ncnnbuilder.faces;

/**
 * Pictures of a bundle of `--target stock`: its four files PREFIX_mapping.param and .bin, PREFIX_synthesis.param and .bin.
 *
 * <p>There is nothing of Android in it: any Java that finds the library runs it. One thread at a time.
 */
public final class Generator implements AutoCloseable {
    static {
        System.loadLibrary("faces");
    }

    private long handle;

    /** Throws IllegalArgumentException with what is wrong with the files. */
    public Generator(String prefix, int threads) {
        handle = load(prefix, threads);
    }

    /** How many styles a picture has: the layers that can be mixed. */
    public synchronized int styles() {
        return styles(open());
    }

    /**
     * A square picture, its pixels as Bitmap.Config.ARGB_8888 has them, row by row.
     *
     * @param seed as `python -m runtime.run` counts them: the same seed is the same picture
     * @param other the seed whose styles are mixed in, from style `first` on; first = styles() mixes nothing
     * @param trunc 0 is the average picture, 1 the whole range
     */
    public synchronized int[] picture(int seed, int other, int first, float trunc) {
        return picture(open(), seed, other, first, trunc);
    }

    @Override
    public synchronized void close() {
        free(handle);
        handle = 0;
    }

    private long open() {
        if (handle == 0) throw new IllegalStateException("this generator is closed");
        return handle;
    }

    private static native long load(String prefix, int threads);

    private static native int styles(long handle);

    private static native int[] picture(long handle, int seed, int other, int first, float trunc);

    private static native void free(long handle);
}
