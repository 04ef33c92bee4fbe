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
 * A TCP socket that listens, as a line of {@code /proc/net/tcp} or {@code tcp6} has it.
 *
 * @param queued connections that wait to be accepted
 * @param inode what the descriptor of the process that has it leads to
 */
record ListeningSocket(InetAddress address, int port, long queued, long inode) {

    private static final String LISTEN = "0A";
    private static final int LOCAL_ADDRESS = 1;
    private static final int STATE = 3;
    private static final int QUEUES = 4;
    private static final int INODE = 9;
    private static final int HEX = 16;

    /** Those of a file. The kernel puts them before all other sockets, so that of the others no more than one is read. */
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

    /** The kernel writes an address as words of 32 bits, each in the order of bytes of the machine. */
    private static InetAddress address(String hex) throws UnknownHostException {
        ByteBuffer words = ByteBuffer.allocate(hex.length() / 2).order(ByteOrder.nativeOrder());
        for (int at = 0; at < hex.length(); at += 2 * Integer.BYTES) {
            words.putInt(Integer.parseUnsignedInt(hex, at, at + 2 * Integer.BYTES, HEX));
        }
        // An IPv4 address within an IPv6 one becomes what it is.
        return InetAddress.getByAddress(words.array());
    }

    /** Whether it listens at this address. A socket for all IPv6 addresses takes IPv4 as well, if Java made it. */
    boolean at(InetAddress wanted, int wantedPort) {
        return port == wantedPort
                && (address.equals(wanted) || address.isAnyLocalAddress() && wanted.isAnyLocalAddress());
    }
}
