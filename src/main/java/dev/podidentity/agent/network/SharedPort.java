package dev.podidentity.agent.network;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.graalvm.nativeimage.PinnedObject;
import org.jboss.logging.Logger;

/**
 * An address and port on which several processes of one user may listen (SO_REUSEPORT), as when a new agent takes over from
 * an old one. It reports which processes listen, and can direct new connections to another process. Blocks for less than a
 * millisecond, longer on a JVM; for a worker thread. docs/decisions/0012-handing-over.md describes the kernel behavior that
 * it relies on.
 */
public final class SharedPort {

    private static final Logger LOG = Logger.getLogger(SharedPort.class);

    private static final Path FILES = Path.of("/proc/self/fd");
    private static final List<Path> TABLES = List.of(Path.of("/proc/self/net/tcp"), Path.of("/proc/self/net/tcp6"));
    private static final Pattern SOCKET = Pattern.compile("socket:\\[(\\d+)\\]");

    private static final int SOL_SOCKET = 1;
    private static final int SO_ATTACH_REUSEPORT_CBPF = 51;
    /** The program's single instruction: return a constant. */
    private static final short BPF_RET_K = 0x06;
    private static final int INSTRUCTION = 8;
    /** The program's length, and after it, aligned, its address. */
    private static final int PROGRAM = 16;

    private final String host;
    private final int port;

    /** @param host an IP address, or a host name of this node */
    public SharedPort(String host, int port) {
        this.host = host;
        this.port = port;
    }

    /** Whether this process could listen here. */
    public enum State {
        /** No process listens. */
        FREE,
        /** Another process listens and allows this one: both have the same user and set the option. */
        SHARED,
        /** Another process listens and does not share the port, there is no such address, or binding is not permitted. */
        CLOSED
    }

    /**
     * The sockets that listen here.
     *
     * @param others the number of sockets of other processes
     * @param queued the number of connections that wait for this process to accept them
     */
    public record Listening(int others, long queued) {}

    /**
     * Returns whether this process, which does not listen here, could. It binds without listening, so that no connection
     * arrives; this takes microseconds.
     *
     * @throws IOException if this cannot be determined
     */
    public State state() throws IOException {
        return binds(false) ? State.FREE : binds(true) ? State.SHARED : State.CLOSED;
    }

    private boolean binds(boolean beside) throws IOException {
        try (SocketChannel socket = SocketChannel.open()) {
            // Leftover connections of an agent that ended must not prevent the bind; a listening agent must.
            socket.setOption(StandardSocketOptions.SO_REUSEADDR, true);
            socket.setOption(StandardSocketOptions.SO_REUSEPORT, beside);
            socket.bind(new InetSocketAddress(InetAddress.getByName(host), port));
            return true;
        } catch (SocketException e) {
            return false;
        }
    }

    /**
     * Returns which processes listen here, if this process does.
     *
     * @throws IOException if this cannot be determined
     */
    public Listening look() throws IOException {
        Map<Long, Integer> own = ownSockets();
        int others = 0;
        long queued = 0;
        for (ListeningSocket socket : here()) {
            if (own.containsKey(socket.inode())) {
                queued += socket.queued();
            } else {
                others++;
            }
        }
        return new Listening(others, queued);
    }

    /**
     * Makes the kernel give each new connection to the socket with this number. Sockets that share a port are numbered in
     * the order in which they started to listen; when one closes, the last one takes its number. If no socket has the
     * number, the kernel distributes connections among all again.
     *
     * @return whether the kernel does so; always false on a JVM, which cannot request it
     * @throws IOException if this process's own socket cannot be found
     */
    public boolean steer(int number) throws IOException {
        if (!Libc.available()) {
            return false;
        }
        Map<Long, Integer> own = ownSockets();
        for (ListeningSocket socket : here()) {
            Integer file = own.get(socket.inode());
            if (file != null) {
                return attach(file, number);
            }
        }
        return false;
    }

    private static boolean attach(int file, int number) {
        byte[] instruction =
                numbers(INSTRUCTION).putShort(BPF_RET_K).putShort((short) 0).putInt(number).array();
        try (PinnedObject pinnedInstruction = PinnedObject.create(instruction)) {
            byte[] program = numbers(PROGRAM)
                    .putShort(0, (short) 1)
                    .putLong(Long.BYTES, pinnedInstruction.addressOfArrayElement(0).rawValue())
                    .array();
            try (PinnedObject pinned = PinnedObject.create(program)) {
                return Libc.setsockopt(
                        file, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, pinned.addressOfArrayElement(0), PROGRAM) == 0;
            }
        }
    }

    private List<ListeningSocket> here() throws IOException {
        InetAddress address = InetAddress.getByName(host);
        return listening().stream().filter(socket -> socket.at(address, port)).toList();
    }

    private List<ListeningSocket> listening() throws IOException {
        if (Libc.available()) {
            try (NetlinkSocket socket = LinuxNetlinkSocket.open(LinuxNetlinkSocket.NETLINK_SOCK_DIAG)) {
                return new SocketDiagnosis(socket).listening(port);
            } catch (IOException e) {
                LOG.debug("The kernel does not list sockets over netlink; reading its table instead", e);
            }
        }
        return listeningByTable();
    }

    /** Takes tens of milliseconds, because the kernel walks the complete socket hash table to reach the end of the file. */
    private static List<ListeningSocket> listeningByTable() throws IOException {
        List<ListeningSocket> listening = new ArrayList<>();
        for (Path table : TABLES) {
            // A kernel without IPv6 only has the first table.
            if (Files.exists(table)) {
                try (Stream<String> lines = Files.lines(table, StandardCharsets.US_ASCII)) {
                    listening.addAll(ListeningSocket.read(lines));
                } catch (UncheckedIOException e) {
                    throw e.getCause();
                }
            }
        }
        return listening;
    }

    /** Returns this process's socket descriptors by inode. */
    private static Map<Long, Integer> ownSockets() throws IOException {
        Map<Long, Integer> own = new HashMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(FILES)) {
            for (Path file : files) {
                Matcher socket = SOCKET.matcher(target(file));
                if (socket.matches()) {
                    own.put(Long.parseLong(socket.group(1)), Integer.parseInt(file.getFileName().toString()));
                }
            }
        }
        return own;
    }

    /** Other threads open and close files meanwhile. */
    private static String target(Path file) throws IOException {
        try {
            return Files.readSymbolicLink(file).toString();
        } catch (NoSuchFileException e) {
            return "";
        }
    }

    private static ByteBuffer numbers(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    }
}
