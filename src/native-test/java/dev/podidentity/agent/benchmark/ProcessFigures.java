package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The figures that Linux keeps about a process. */
final class ProcessFigures {

    /** USER_HZ, which is 100 on all architectures that the agent supports. */
    private static final double TICKS_PER_SECOND = 100;
    /** The index after the command's name in /proc/PID/stat; proc(5) numbers these fields 14 and 15, starting at 1. */
    private static final int USER_TIME = 11;
    private static final int SYSTEM_TIME = 12;
    private static final double KIB_PER_MEGABYTE = 1e6 / 1024;
    private static final double NANOS_PER_MILLI = 1e6;

    private final Path directory;

    ProcessFigures(long pid) {
        this.directory = Path.of("/proc", String.valueOf(pid));
    }

    /** Returns the CPU time of the process, including that of threads that have ended. */
    double cpuSeconds() throws IOException {
        return cpuSeconds(Files.readString(directory.resolve("stat")));
    }

    static double cpuSeconds(String stat) {
        // The name may contain spaces and parentheses.
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[USER_TIME]) + Long.parseLong(fields[SYSTEM_TIME])) / TICKS_PER_SECOND;
    }

    /**
     * Returns the CPU time of the running threads, which is exact, unlike {@link #cpuSeconds()} in hundredths of a second.
     */
    double cpuMillisOfThreads() throws IOException {
        double nanos = 0;
        try (Stream<Path> threads = Files.list(directory.resolve("task"))) {
            for (Path thread : threads.toList()) {
                try {
                    nanos += Long.parseLong(Files.readString(thread.resolve("schedstat")).split(" ")[0]);
                } catch (NoSuchFileException e) {
                    // This thread has just ended.
                    continue;
                }
            }
        }
        return nanos / NANOS_PER_MILLI;
    }

    double residentMegabytes() throws IOException {
        return megabytes(Files.readAllLines(directory.resolve("status")), "VmRSS");
    }

    double anonymousMegabytes() throws IOException {
        return megabytes(Files.readAllLines(directory.resolve("status")), "RssAnon");
    }

    static double megabytes(List<String> status, String name) {
        return status.stream()
                .filter(line -> line.startsWith(name + ":"))
                .map(line -> line.replaceAll("\\D", ""))
                .mapToLong(Long::parseLong)
                .findFirst()
                .orElseThrow() / KIB_PER_MEGABYTE;
    }
}
