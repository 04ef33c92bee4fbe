package dev.podidentity.agent.memory;

import io.quarkus.runtime.ImageMode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.graalvm.nativeimage.c.function.CFunction;
import org.graalvm.word.PointerBase;
import org.graalvm.word.UnsignedWord;
import org.graalvm.word.WordFactory;
import org.jboss.logging.Logger;

/**
 * Keeps few pages of the native executable mapped. At a fault the kernel maps not only the page that is touched but all
 * of the 64 KiB around it that the page cache has; of code and objects that lie scattered over 40 MB, a start maps nearly
 * everything. So the executable's constant mappings are divided into pieces, over whose ends the kernel does not map, and
 * unmapped from time to time: what is in use comes back from the page cache within microseconds, and the rest of the file
 * the kernel can have. docs/decisions/0007-footprint.md has the figures.
 */
public final class ExecutablePages {

    private static final Logger LOG = Logger.getLogger(ExecutablePages.class);

    private static final Path EXECUTABLE = Path.of("/proc/self/exe");
    private static final Path MAPPINGS = Path.of("/proc/self/smaps");
    /** Smaller ones save less than they cost: each of the kernel's records of a piece takes some 200 bytes. */
    private static final long PIECE = 16 * 1024;
    private static final int MADV_DONTNEED = 4;
    private static final int MADV_DONTDUMP = 16;

    /** What can be unmapped; found at the first release, which the others come after. */
    private List<Mapping> constant = List.of();
    private boolean found;

    /**
     * Unmaps the executable's code and constant data; the first time, collects the garbage of the start too. On a JVM,
     * does nothing. Takes a millisecond, the first time some more; for a worker thread, one at a time.
     */
    public synchronized void release() {
        if (!isNative()) {
            return;
        }
        if (!found) {
            found = true;
            constant = constantMappings();
            constant.forEach(ExecutablePages::divide);
            // The collector returns what it has no more use for only after a full collection.
            System.gc();
        }
        constant.forEach(mapping -> advise(mapping.start(), mapping.length(), MADV_DONTNEED));
    }

    private static boolean isNative() {
        return ImageMode.current() == ImageMode.NATIVE_RUN;
    }

    private static List<Mapping> constantMappings() {
        try (Stream<String> lines = Files.lines(MAPPINGS, StandardCharsets.UTF_8)) {
            String executable = EXECUTABLE.toRealPath().toString();
            return Mapping.read(lines).stream()
                    .filter(mapping -> mapping.file().equals(executable))
                    .filter(Mapping::constant)
                    .toList();
        } catch (IOException | UncheckedIOException e) {
            LOG.debug("The memory of the executable cannot be looked at; more of it stays mapped", e);
            return List.of();
        }
    }

    /** Neighbours with another advice are kept apart; this one only says what belongs into a core dump. */
    private static void divide(Mapping mapping) {
        for (long offset = PIECE; offset < mapping.length(); offset += 2 * PIECE) {
            advise(mapping.start() + offset, Math.min(PIECE, mapping.length() - offset), MADV_DONTDUMP);
        }
    }

    /** Where the kernel does not take an advice, nothing is lost. */
    private static void advise(long start, long length, int advice) {
        madvise(WordFactory.pointer(start), WordFactory.unsigned(length), advice);
    }

    @CFunction(transition = CFunction.Transition.NO_TRANSITION)
    private static native int madvise(PointerBase address, UnsignedWord length, int advice);
}
