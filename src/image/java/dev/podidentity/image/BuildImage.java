package dev.podidentity.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Creates the image's archive from a native executable, without a container engine. The common tools that build images from
 * Java cannot give a file a capability.
 */
public final class BuildImage {

    /** Without this file, glibc would query DNS for localhost first. */
    private static final Layer.Item NAME_SERVICES = Layer.Item.text("/etc/nsswitch.conf", "hosts: files dns\n");

    private BuildImage() {}

    /**
     * Arguments: the executable, the archive to write, the agent's version, and the timestamp for everything in the archive.
     */
    public static void main(String[] args) throws IOException {
        if (args.length != 4) {
            throw new IllegalArgumentException("Arguments: EXECUTABLE ARCHIVE VERSION TIME");
        }
        Executable executable = Executable.read(Path.of(args[0]));
        Optional<Loader> loader = executable.interpreter().map(Loader::new);

        List<Layer.Item> items = new ArrayList<>();
        items.add(NAME_SERVICES);
        items.add(Layer.Item.withCapability(Image.EXECUTABLE, executable.content()));
        items.add(Layer.Item.link(Image.GO_RUNNER, Image.EXECUTABLE.substring(1)));
        Optional<String> glibc = Optional.empty();
        if (loader.isPresent()) {
            items.add(Layer.Item.executable(loader.get().path(), Files.readAllBytes(Path.of(loader.get().path()))));
            for (Path library : loader.get().libraries(executable.file())) {
                items.add(Layer.Item.executable(library.toString(), Files.readAllBytes(library)));
            }
            glibc = loader.get().version();
        }
        Instant created = Instant.parse(args[3]);
        Image image = new Image(Layer.of(items, created), executable.architecture(), args[2], created, revision(), glibc);
        Files.write(Path.of(args[1]), image.archive());
    }

    /** Returns the commit, marked as dirty if there are changes; empty outside a Git clone. */
    private static Optional<String> revision() throws IOException {
        Process git;
        try {
            git = new ProcessBuilder("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException e) {
            // Git is not installed.
            return Optional.empty();
        }
        String commit = new String(git.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).strip();
        return commit.isEmpty() ? Optional.empty() : Optional.of(commit);
    }
}
