package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A new memory control group, of version 1 or 2. The caller must stop the processes in it before closing it. */
final class ControlGroup implements AutoCloseable {

    private static final Path VERSION_1 = Path.of("/sys/fs/cgroup/memory");
    private static final Path VERSION_2 = Path.of("/sys/fs/cgroup");
    private static final double BYTES_PER_MEGABYTE = 1e6;

    private final Path directory;
    private final boolean versionTwo;

    private ControlGroup(Path directory, boolean versionTwo) {
        this.directory = directory;
        this.versionTwo = versionTwo;
    }

    /** @throws Group.CannotBeMeasured if no group can be created, for example without root */
    static ControlGroup make() throws Group.CannotBeMeasured {
        try {
            return makeDirectory();
        } catch (IOException e) {
            throw new Group.CannotBeMeasured("no memory control group can be made here, which needs root and a cgroup file"
                    + " system", e);
        }
    }

    private static ControlGroup makeDirectory() throws IOException {
        boolean versionTwo = Files.exists(VERSION_2.resolve("cgroup.controllers"));
        if (versionTwo && !Files.readString(VERSION_2.resolve("cgroup.subtree_control")).contains("memory")) {
            Files.writeString(VERSION_2.resolve("cgroup.subtree_control"), "+memory");
        }
        Path directory = (versionTwo ? VERSION_2 : VERSION_1).resolve("pod-identity-benchmark-" + ProcessHandle.current().pid());
        Files.createDirectory(directory);
        return new ControlGroup(directory, versionTwo);
    }

    /** Returns the command, prefixed so that it enters the group before it starts. */
    List<String> enter(List<String> command) {
        List<String> entering = new ArrayList<>(List.of(
                "sh", "-c", "echo $$ > " + directory.resolve("cgroup.procs") + " && exec \"$@\"", "sh"));
        entering.addAll(command);
        return entering;
    }

    Usage usage() throws IOException {
        return Usage.parse(
                Files.readString(directory.resolve(versionTwo ? "memory.current" : "memory.usage_in_bytes")),
                Files.readAllLines(directory.resolve("memory.stat")),
                versionTwo);
    }

    @Override
    public void close() throws IOException {
        Files.delete(directory);
    }

    /**
     * @param workingSet the kubelet's measure: all memory in use except file pages that were not used recently
     * @param pageCache pages of files, mapped or not
     */
    record Usage(double workingSet, double pageCache) {

        static Usage parse(String usage, List<String> stat, boolean versionTwo) {
            long inactive = bytes(stat, versionTwo ? "inactive_file" : "total_inactive_file");
            long cache = bytes(stat, versionTwo ? "file" : "total_cache");
            return new Usage(
                    Math.max(0, Long.parseLong(usage.strip()) - inactive) / BYTES_PER_MEGABYTE, cache / BYTES_PER_MEGABYTE);
        }

        private static long bytes(List<String> stat, String name) {
            return stat.stream()
                    .filter(line -> line.startsWith(name + " "))
                    .mapToLong(line -> Long.parseLong(line.substring(name.length() + 1)))
                    .findFirst()
                    .orElseThrow(() -> new IllegalArgumentException("memory.stat has no " + name));
        }
    }
}
