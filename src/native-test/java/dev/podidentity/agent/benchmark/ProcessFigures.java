package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** What Linux counts of a process. */
final class ProcessFigures {

    /** USER_HZ, which is 100 on all architectures that the agent is for. */
    private static final double TICKS_PER_SECOND = 100;
    /** Of what follows the command's name in /proc/PID/stat; proc(5) counts them as 14 and 15 from 1. */
    private static final int USER_TIME = 11;
    private static final int SYSTEM_TIME = 12;
    private static final double KIB_PER_MEGABYTE = 1e6 / 1024;
    private static final double NANOS_PER_MILLI = 1e6;

    private final Path directory;

    ProcessFigures(long pid) {
        this.directory = Path.of("/proc", String.valueOf(pid));
    }

    /** Processor time of the process, with what threads took that have ended. */
    double cpuSeconds() throws IOException {
        return cpuSeconds(Files.readString(directory.resolve("stat")));
    }

    static double cpuSeconds(String stat) {
        // The name may hold spaces and parentheses.
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[USER_TIME]) + Long.parseLong(fields[SYSTEM_TIME])) / TICKS_PER_SECOND;
    }

    /** Processor time of the threads that live, which is exact where {@link #cpuSeconds()} has hundredths of a second. */
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
