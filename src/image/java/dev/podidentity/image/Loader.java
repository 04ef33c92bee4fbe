package dev.podidentity.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * glibc's dynamic loader on this machine, asked instead of guessed: it knows best which files it will open in the image.
 *
 * @param path where executables expect it
 */
record Loader(String path) {

    private static final Pattern RESOLVED = Pattern.compile("\\s*(\\S+) => (/\\S+) \\(0x\\p{XDigit}+\\)");
    private static final Pattern MISSING = Pattern.compile("\\s*(\\S+) => not found");
    private static final Pattern VERSION = Pattern.compile("ld\\.so \\((.+?)\\).*");

    /**
     * The libraries that an executable is linked with, and those that these are linked with. This machine's cache of
     * library paths is not asked, as the image has none.
     *
     * @throws IOException if the loader cannot be run, or does not find a library
     */
    List<Path> libraries(Path executable) throws IOException {
        return libraries(run("--inhibit-cache", "--list", executable.toAbsolutePath().toString()));
    }

    static List<Path> libraries(List<String> listing) throws IOException {
        List<Path> libraries = new ArrayList<>();
        for (String line : listing) {
            Matcher missing = MISSING.matcher(line);
            if (missing.matches()) {
                throw new IOException("The executable needs " + missing.group(1) + ", which the image would not have");
            }
            Matcher resolved = RESOLVED.matcher(line);
            if (resolved.matches()) {
                libraries.add(Path.of(resolved.group(2)));
            }
        }
        return libraries;
    }

    /** The distribution's version of glibc, which security advisories are about; nothing before glibc 2.33. */
    Optional<String> version() throws IOException {
        return run("--version").stream()
                .map(VERSION::matcher)
                .filter(Matcher::matches)
                .map(matched -> matched.group(1))
                .findFirst();
    }

    private List<String> run(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(path));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        // LD_LIBRARY_PATH and its like would make it look where it will not look in the image.
        builder.environment().clear();
        Process process = builder.start();
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    }
}
