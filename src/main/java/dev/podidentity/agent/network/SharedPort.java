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

/**
 * An address and port on which several processes of one user may listen, as they do while a new agent takes over from an
 * old one (SO_REUSEPORT). Tells who does, and sends new connections to another of them. Blocks, for a millisecond or a few;
 * for a worker thread. docs/decisions/0012-handing-over.md says what is relied upon.
 */
public final class SharedPort {

    private static final Path FILES = Path.of("/proc/self/fd");
    private static final List<Path> TABLES = List.of(Path.of("/proc/self/net/tcp"), Path.of("/proc/self/net/tcp6"));
    private static final Pattern SOCKET = Pattern.compile("socket:\\[(\\d+)\\]");

    private static final int SOL_SOCKET = 1;
    private static final int SO_ATTACH_REUSEPORT_CBPF = 51;
    /** The one instruction of the program: return a constant. */
    private static final short BPF_RET_K = 0x06;
    private static final int INSTRUCTION = 8;
    /** The length of the program, and after it, aligned, its address. */
    private static final int PROGRAM = 16;

    private final String host;
    private final int port;

    /** @param host an IP address, or a name of this node */
    public SharedPort(String host, int port) {
        this.host = host;
        this.port = port;
    }

    /**
     * Who listens here at this moment.
     *
     * @param others sockets of other processes
     * @param shareable whether they let this process listen beside them: those of its own user do that ask for it too
     * @param queued connections that wait for this process to accept them
     */
    public record Listening(int others, boolean shareable, long queued) {

        /** Whether another process listens here that this one can listen beside. */
        public boolean shared() {
            return others > 0 && shareable;
        }
    }

    /** @throws IOException if it cannot be found out */
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
        return new Listening(others, others > 0 && shareable(), queued);
    }

    /** Binds the port without listening, so that nothing arrives. */
    private boolean shareable() throws IOException {
        try (SocketChannel socket = SocketChannel.open()) {
            socket.setOption(StandardSocketOptions.SO_REUSEPORT, true);
            socket.bind(new InetSocketAddress(InetAddress.getByName(host), port));
            return true;
        } catch (SocketException e) {
            return false;
        }
    }

    /**
     * Has the kernel give each new connection to the socket with this number: those that share a port are numbered in the
     * order in which they began to listen, and when one ends the last takes its number. With a number that no socket has, or
     * after that, it chooses among all again.
     *
     * @return whether the kernel does; never on a JVM, which cannot ask it
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
        List<ListeningSocket> here = new ArrayList<>();
        for (Path table : TABLES) {
            try (Stream<String> lines = Files.lines(table, StandardCharsets.US_ASCII)) {
                ListeningSocket.read(lines).stream().filter(socket -> socket.at(address, port)).forEach(here::add);
            } catch (NoSuchFileException e) {
                // A kernel without IPv6.
                continue;
            } catch (UncheckedIOException e) {
                throw e.getCause();
            }
        }
        return here;
    }

    /** This process's descriptors of sockets, by inode. */
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
