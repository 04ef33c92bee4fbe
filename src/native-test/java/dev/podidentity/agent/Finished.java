package dev.podidentity.agent;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** The result of a program that has ended. */
record Finished(int exitCode, String output) {

    /**
     * Runs a program to its end.
     *
     * @param log receives its output
     * @throws IOException if there is no such program, or it exceeds the timeout
     */
    static Finished run(ProcessBuilder program, Path log, Duration patience) throws IOException, InterruptedException {
        Process process = program.redirectErrorStream(true).redirectOutput(log.toFile()).start();
        if (!process.waitFor(patience.toSeconds(), TimeUnit.SECONDS)) {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
            throw new IOException(program.command() + " takes over " + patience + ": " + Files.readString(log));
        }
        return new Finished(process.exitValue(), Files.readString(log));
    }
}
