package dev.podidentity.agent.memory;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.graalvm.nativeimage.ImageInfo;
import org.graalvm.nativeimage.c.function.CFunction;
import org.graalvm.word.PointerBase;
import org.graalvm.word.UnsignedWord;
import org.graalvm.word.WordFactory;
import org.jboss.logging.Logger;

/**
 * Gives back the memory that only the start has needed: its garbage, and the pages of the executable's code and of its
 * constant data, most of which nothing touches again. The kernel maps sixteen pages for each one that is touched, so
 * that after the start nearly the whole executable counts as resident. What is needed again comes back from the page
 * cache at a page fault; docs/decisions/0007-footprint.md has the figures.
 */
public final class StartupPages {

    private static final Logger LOG = Logger.getLogger(StartupPages.class);

    private static final Path EXECUTABLE = Path.of("/proc/self/exe");
    private static final Path MAPPINGS = Path.of("/proc/self/smaps");
    private static final int MADV_DONTNEED = 4;

    private StartupPages() {}

    /** Gives them back; on a JVM, does nothing. Takes some milliseconds, so it is for a worker thread. */
    public static void release() {
        if (System.getProperty(ImageInfo.PROPERTY_IMAGE_CODE_KEY) == null) {
            return;
        }
        // The collector returns what it has no more use for after a full collection only.
        System.gc();
        try {
            String executable = EXECUTABLE.toRealPath().toString();
            Mapping.read(Files.readAllLines(MAPPINGS, StandardCharsets.UTF_8)).stream()
                    .filter(mapping -> mapping.file().equals(executable) && mapping.unchangeable())
                    .forEach(StartupPages::drop);
        } catch (IOException e) {
            LOG.debug("The memory of the start cannot be given back", e);
        }
    }

    private static void drop(Mapping mapping) {
        // Advice: where the kernel does not take it, nothing is lost.
        madvise(WordFactory.pointer(mapping.start()), WordFactory.unsigned(mapping.length()), MADV_DONTNEED);
    }

    @CFunction(transition = CFunction.Transition.NO_TRANSITION)
    private static native int madvise(PointerBase address, UnsignedWord length, int advice);
}
