package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Tokens, also in files for wrk. Those of {@link #first} never change, so a cache that was filled with them contains them.
 */
final class Tokens {

    private final EksAuthProcess eksAuth;
    private final Path directory;
    private final List<String> all = new ArrayList<>();

    Tokens(EksAuthProcess eksAuth, Path directory) {
        this.eksAuth = eksAuth;
        this.directory = directory;
    }

    /** Returns the first tokens, each for a different pod. */
    List<String> first(int count) throws IOException {
        if (all.size() < count) {
            all.addAll(eksAuth.mint(count - all.size()));
        }
        return all.subList(0, count);
    }

    /** Returns a file with the first tokens, one per line. */
    Path file(int count) throws IOException {
        return Files.write(directory.resolve("tokens-" + count + ".txt"), first(count));
    }

    /** Returns tokens that were never used. */
    List<String> fresh(int count) throws IOException {
        return eksAuth.mint(count);
    }
}
