package dev.podidentity.agent.network;

import dev.podidentity.agent.network.NetlinkMessage.Builder;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Lists the sockets that listen on a port over netlink, for which the kernel does not visit other sockets, of which there
 * may be thousands. The numbers are those of linux/sock_diag.h, linux/inet_diag.h and net/tcp_states.h.
 */
final class SocketDiagnosis {

    static final int SOCK_DIAG_BY_FAMILY = 20;
    static final int AF_INET = 2;
    static final int AF_INET6 = 10;
    private static final int IPPROTO_TCP = 6;
    private static final int LISTEN = 1 << 10;
    /** Two addresses and a link number, all unset; the cookie is also unset. */
    private static final int NO_ADDRESSES = 9;
    private static final int NO_COOKIE = -1;

    private static final int LOCAL_PORT = 4;
    private static final int LOCAL_ADDRESS = 8;
    private static final int QUEUED = 56;
    private static final int INODE = 68;
    private static final int LENGTH = 72;
    private static final int IPV4_LENGTH = 4;
    private static final int IPV6_LENGTH = 16;

    private final NetlinkSocket socket;

    SocketDiagnosis(NetlinkSocket socket) {
        this.socket = socket;
    }

    /** @throws IOException if the kernel does not list sockets, such as a kernel without this subsystem */
    List<ListeningSocket> listening(int port) throws IOException {
        List<ListeningSocket> listening = new ArrayList<>(listening(AF_INET, port));
        listening.addAll(listening(AF_INET6, port));
        return listening;
    }

    private List<ListeningSocket> listening(int family, int port) throws IOException {
        Builder request = new Builder(
                        SOCK_DIAG_BY_FAMILY, Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_DUMP, family)
                .bytes(family, IPPROTO_TCP, 0, 0)
                .number(LISTEN)
                // In network byte order.
                .bytes(port >> Byte.SIZE, port, 0, 0);
        for (int i = 0; i < NO_ADDRESSES; i++) {
            request.number(0);
        }
        socket.send(request.number(NO_COOKIE).number(NO_COOKIE).build());
        List<ListeningSocket> listening = new ArrayList<>();
        while (true) {
            for (NetlinkMessage message : NetlinkMessage.in(socket.receive())) {
                if (message.sequence() != family) {
                    continue;
                }
                switch (message.type()) {
                    case Rtnetlink.NLMSG_DONE -> {
                        return listening;
                    }
                    case Rtnetlink.NLMSG_ERROR -> throw new IOException(
                            "list sockets: " + Errno.describe(-message.fixed(Integer.BYTES).getInt()));
                    case SOCK_DIAG_BY_FAMILY -> listening.add(of(message.fixed(LENGTH)));
                    default -> { }
                }
            }
        }
    }

    private static ListeningSocket of(ByteBuffer message) throws IOException {
        byte[] address = new byte[message.get(0) == AF_INET ? IPV4_LENGTH : IPV6_LENGTH];
        message.get(LOCAL_ADDRESS, address);
        int port = Byte.toUnsignedInt(message.get(LOCAL_PORT)) << Byte.SIZE | Byte.toUnsignedInt(message.get(LOCAL_PORT + 1));
        return new ListeningSocket(
                InetAddress.getByAddress(address),
                port,
                Integer.toUnsignedLong(message.getInt(QUEUED)),
                Integer.toUnsignedLong(message.getInt(INODE)));
    }
}
