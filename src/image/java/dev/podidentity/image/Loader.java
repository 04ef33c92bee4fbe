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
 * Queries glibc's dynamic loader on this machine, which knows exactly which files it will open in the image.
 *
 * @param path the path where executables expect the loader
 */
record Loader(String path) {

    private static final Pattern RESOLVED = Pattern.compile("\\s*(\\S+) => (/\\S+) \\(0x\\p{XDigit}+\\)");
    private static final Pattern MISSING = Pattern.compile("\\s*(\\S+) => not found");
    private static final Pattern VERSION = Pattern.compile("ld\\.so \\((.+?)\\).*");

    /**
     * Returns the libraries of an executable, and the libraries that these need. Ignores this machine's cache of library
     * paths, because the image has none.
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
                throw new IOException("The executable needs " + missing.group(1) + ", which the image would lack");
            }
            Matcher resolved = RESOLVED.matcher(line);
            if (resolved.matches()) {
                libraries.add(Path.of(resolved.group(2)));
            }
        }
        return libraries;
    }

    /** Returns the distribution's version of glibc, to which security advisories refer; empty before glibc 2.33. */
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
        // LD_LIBRARY_PATH and similar variables would make it search where it will not search in the image.
        builder.environment().clear();
        Process process = builder.start();
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    }
}
