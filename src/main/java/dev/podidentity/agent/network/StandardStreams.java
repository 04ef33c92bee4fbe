package dev.podidentity.agent.network;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.graalvm.nativeimage.PinnedObject;
import org.graalvm.word.PointerBase;
import org.graalvm.word.WordFactory;

/** Redirects this process's standard output and error. For the main thread of the native executable, at startup. */
public final class StandardStreams {

    private static final int STDOUT = 1;
    private static final int STDERR = 2;
    private static final int O_WRONLY = 1;
    private static final int O_CREAT = 0100;
    private static final int O_APPEND = 02000;
    private static final int MODE = 0644;
    private static final int BUFFER = 8 * 1024;
    /** The wait for the last lines when the process ends; an active reader takes milliseconds. */
    private static final long PATIENCE_MILLIS = TimeUnit.SECONDS.toMillis(1);

    private StandardStreams() {}

    /** Redirects standard error to standard output. */
    public static void mergeErrorIntoOutput() {
        Libc.dup2(STDOUT, STDERR);
    }

    /**
     * Appends standard output to a file, which is created if it does not exist.
     *
     * @param alsoStdout whether to keep writing to the original standard output
     * @throws IOException if the file cannot be opened
     */
    public static void appendOutputTo(String file, boolean alsoStdout) throws IOException {
        int log = open(file);
        if (!alsoStdout) {
            Libc.dup2(log, STDOUT);
            Libc.close(log);
            return;
        }
        int original = Libc.dup(STDOUT);
        int[] ends = new int[2];
        try (PinnedObject pinned = PinnedObject.create(ends)) {
            if (original < 0 || Libc.pipe(pinned.addressOfArrayElement(0)) != 0) {
                throw new IOException("standard output cannot be copied: " + Errno.describe(Libc.errno()));
            }
        }
        Libc.dup2(ends[1], STDOUT);
        Libc.close(ends[1]);
        Thread copier = new Thread(() -> copy(ends[0], log, original), "output");
        copier.setDaemon(true);
        copier.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> drain(copier, original), "output-end"));
    }

    private static int open(String file) throws IOException {
        byte[] path = (file + '\0').getBytes(StandardCharsets.UTF_8);
        try (PinnedObject pinned = PinnedObject.create(path)) {
            int log = Libc.open(pinned.addressOfArrayElement(0), O_WRONLY | O_CREAT | O_APPEND, MODE);
            if (log < 0) {
                throw new IOException(file + " cannot be opened: " + Errno.describe(Libc.errno()));
            }
            return log;
        }
    }

    private static void copy(int from, int... to) {
        byte[] buffer = new byte[BUFFER];
        try (PinnedObject pinned = PinnedObject.create(buffer)) {
            for (long read = read(from, pinned); read > 0; read = read(from, pinned)) {
                for (int file : to) {
                    write(file, pinned, (int) read);
                }
            }
        }
    }

    private static long read(int file, PinnedObject buffer) {
        return Libc.read(file, buffer.addressOfArrayElement(0), WordFactory.unsigned(BUFFER)).rawValue();
    }

    /** Writes to one target; what it does not accept is lost for that target only. */
    private static void write(int file, PinnedObject bytes, int length) {
        for (int written = 0; written < length; ) {
            PointerBase rest = bytes.addressOfArrayElement(written);
            long more = Libc.write(file, rest, WordFactory.unsigned(length - written)).rawValue();
            if (more <= 0) {
                return;
            }
            written += (int) more;
        }
    }

    /** Once nothing can write into the pipe, the copier reaches its end. */
    private static void drain(Thread copier, int original) {
        Libc.dup2(original, STDOUT);
        Libc.dup2(original, STDERR);
        try {
            copier.join(PATIENCE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
