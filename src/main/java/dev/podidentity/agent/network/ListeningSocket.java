package dev.podidentity.agent.network;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A listening TCP socket, as in a line of {@code /proc/net/tcp} or {@code tcp6}.
 *
 * @param queued the number of connections that wait to be accepted
 * @param inode the inode to which the descriptor of the owning process refers
 */
record ListeningSocket(InetAddress address, int port, long queued, long inode) {

    private static final String LISTEN = "0A";
    private static final int LOCAL_ADDRESS = 1;
    private static final int STATE = 3;
    private static final int QUEUES = 4;
    private static final int INODE = 9;
    private static final int HEX = 16;

    /**
     * Returns the sockets in a file. The kernel lists listening sockets first, so at most one line of other sockets is read.
     */
    static List<ListeningSocket> read(Stream<String> lines) {
        List<ListeningSocket> sockets = new ArrayList<>();
        lines.skip(1)
                .map(line -> line.trim().split("\\s+"))
                .takeWhile(fields -> fields.length > INODE && fields[STATE].equals(LISTEN))
                .forEach(fields -> of(fields).ifPresent(sockets::add));
        return sockets;
    }

    private static Optional<ListeningSocket> of(String[] fields) {
        String[] local = fields[LOCAL_ADDRESS].split(":");
        String[] queues = fields[QUEUES].split(":");
        try {
            return Optional.of(new ListeningSocket(
                    address(local[0]),
                    Integer.parseInt(local[1], HEX),
                    Long.parseLong(queues[1], HEX),
                    Long.parseLong(fields[INODE])));
        } catch (UnknownHostException | NumberFormatException e) {
            return Optional.empty();
        }
    }

    /** Parses an address, which the kernel writes as 32-bit words in the machine's byte order. */
    private static InetAddress address(String hex) throws UnknownHostException {
        ByteBuffer words = ByteBuffer.allocate(hex.length() / 2).order(ByteOrder.nativeOrder());
        for (int at = 0; at < hex.length(); at += 2 * Integer.BYTES) {
            words.putInt(Integer.parseUnsignedInt(hex, at, at + 2 * Integer.BYTES, HEX));
        }
        // Java turns an IPv4-mapped IPv6 address into an IPv4 address.
        return InetAddress.getByAddress(words.array());
    }

    /** Returns whether the socket listens at an address. A wildcard IPv6 socket created by Java also accepts IPv4. */
    boolean at(InetAddress wanted, int wantedPort) {
        return port == wantedPort
                && (address.equals(wanted) || address.isAnyLocalAddress() && wanted.isAnyLocalAddress());
    }
}
