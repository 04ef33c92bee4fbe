package dev.podidentity.agent.network;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Finds the processes that listen on TCP ports of this network namespace. Blocks for tens of milliseconds. */
public final class PortOwners {

    private final Path proc;

    /** @param proc where procfs is mounted */
    public PortOwners(Path proc) {
        this.proc = proc;
    }

    /**
     * Returns the owners of the sockets that listen on a port.
     *
     * @throws IOException if the kernel's tables cannot be read
     */
    public List<Owner> of(int port) throws IOException {
        List<ListeningSocket> sockets = new ArrayList<>();
        for (String table : List.of("tcp", "tcp6")) {
            Path file = proc.resolve("self/net").resolve(table);
            // A kernel without IPv6 only has the first table.
            if (Files.exists(file)) {
                try (Stream<String> lines = Files.lines(file, StandardCharsets.US_ASCII)) {
                    sockets.addAll(ListeningSocket.read(lines));
                } catch (UncheckedIOException e) {
                    throw e.getCause();
                }
            }
        }
        List<Owner> owners = new ArrayList<>();
        for (ListeningSocket socket : sockets) {
            if (socket.port() == port) {
                owners.add(new Owner(socket.address(), process(socket.inode())));
            }
        }
        return owners;
    }

    /** Returns the process that has a socket; empty for a process of another container or user, which is not visible. */
    private Optional<Listener> process(long inode) throws IOException {
        String wanted = "socket:[" + inode + "]";
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
            for (Path process : processes) {
                if (targets(process.resolve("fd")).contains(wanted)) {
                    return Optional.of(new Listener(Integer.parseInt(process.getFileName().toString()), name(process)));
                }
            }
        }
        return Optional.empty();
    }

    /** Returns the targets of a process's descriptors, as far as they are visible. Processes may end meanwhile. */
    private static Set<String> targets(Path descriptors) {
        Set<String> targets = new HashSet<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(descriptors)) {
            for (Path file : files) {
                targets.add(Files.readSymbolicLink(file).toString());
            }
        } catch (IOException e) {
            return targets;
        }
        return targets;
    }

    private static String name(Path process) {
        try {
            return Files.readString(process.resolve("comm")).strip();
        } catch (IOException e) {
            return "unknown";
        }
    }

    /**
     * A listening socket.
     *
     * @param process empty if it is not visible
     */
    public record Owner(InetAddress address, Optional<Listener> process) {

        /** Returns whether it accepts connections to this address. A wildcard IPv6 socket usually also accepts IPv4. */
        public boolean takes(InetAddress asked) {
            return address.equals(asked) || address.isAnyLocalAddress();
        }
    }

    /**
     * A process.
     *
     * @param name as the kernel stores it, truncated to 15 characters
     */
    public record Listener(int id, String name) {

        @Override
        public String toString() {
            return name + " (process " + id + ")";
        }
    }

    /** Returns the names of some owners, as part of a sentence. */
    public static String named(List<Owner> owners) {
        return owners.stream()
                .map(owner -> owner.process().map(Listener::toString).orElse("a process that cannot be seen from here"))
                .distinct()
                .collect(Collectors.joining(", "));
    }
}
