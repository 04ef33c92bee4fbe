package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Tokens, in files for wrk too. Those of {@link #first} are the same each time: a cache knows them if it was filled with them. */
final class Tokens {

    private final EksAuthProcess eksAuth;
    private final Path directory;
    private final List<String> all = new ArrayList<>();

    Tokens(EksAuthProcess eksAuth, Path directory) {
        this.eksAuth = eksAuth;
        this.directory = directory;
    }

    /** The first tokens, each of a pod of its own. */
    List<String> first(int count) throws IOException {
        if (all.size() < count) {
            all.addAll(eksAuth.mint(count - all.size()));
        }
        return all.subList(0, count);
    }

    /** The same, one a line. */
    Path file(int count) throws IOException {
        return Files.write(directory.resolve("tokens-" + count + ".txt"), first(count));
    }

    /** Tokens that nobody has seen. */
    List<String> fresh(int count) throws IOException {
        return eksAuth.mint(count);
    }
}
