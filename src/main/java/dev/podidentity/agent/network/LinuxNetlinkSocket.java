package dev.podidentity.agent.network;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.graalvm.nativeimage.PinnedObject;
import org.graalvm.word.SignedWord;
import org.graalvm.word.WordFactory;

/** A netlink socket of the C library; Java has none. The numbers are those that x86-64 and arm64 share. */
final class LinuxNetlinkSocket implements NetlinkSocket {

    private static final int AF_NETLINK = 16;
    private static final int SOCK_RAW_CLOEXEC = 3 | 0x80000;
    static final int NETLINK_ROUTE = 0;
    static final int NETLINK_SOCK_DIAG = 4;
    private static final int SOL_SOCKET = 1;
    private static final int SO_RCVTIMEO = 20;
    private static final int SOL_NETLINK = 270;
    private static final int NETLINK_CAP_ACK = 10;
    private static final int NETLINK_EXT_ACK = 11;
    private static final int MSG_PEEK = 0x2;
    private static final int MSG_TRUNC = 0x20;
    /** The kernel responds to a request immediately; this only covers a kernel that does not. */
    private static final long TIMEOUT_SECONDS = 5;
    /** The kernel sends datagrams of up to 32 KiB, except for a single item that is larger. */
    private static final int MOST = 1 << 20;

    private final int socket;

    private LinuxNetlinkSocket(int socket) {
        this.socket = socket;
    }

    /** @param protocol the kernel subsystem to talk to */
    static LinuxNetlinkSocket open(int protocol) throws IOException {
        int socket = Libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol);
        if (socket < 0) {
            throw failure("socket");
        }
        LinuxNetlinkSocket opened = new LinuxNetlinkSocket(socket);
        try {
            opened.set(SOL_SOCKET, SO_RCVTIMEO, numbers(2 * Long.BYTES).putLong(TIMEOUT_SECONDS).putLong(0), true);
            // Old kernels support neither; their errors only have a number, followed by the request.
            opened.set(SOL_NETLINK, NETLINK_EXT_ACK, numbers(Integer.BYTES).putInt(1), false);
            opened.set(SOL_NETLINK, NETLINK_CAP_ACK, numbers(Integer.BYTES).putInt(1), false);
            opened.connect();
        } catch (IOException e) {
            opened.close();
            throw e;
        }
        return opened;
    }

    /** Connects to the kernel (port 0), so that only the kernel can send to this socket. */
    private void connect() throws IOException {
        byte[] address = numbers(12).putShort((short) AF_NETLINK).array();
        try (PinnedObject pinned = PinnedObject.create(address)) {
            if (Libc.connect(socket, pinned.addressOfArrayElement(0), address.length) != 0) {
                throw failure("connect");
            }
        }
    }

    private void set(int level, int option, ByteBuffer value, boolean required) throws IOException {
        try (PinnedObject pinned = PinnedObject.create(value.array())) {
            int result = Libc.setsockopt(socket, level, option, pinned.addressOfArrayElement(0), value.capacity());
            if (result != 0 && required) {
                throw failure("setsockopt");
            }
        }
    }

    @Override
    public void send(byte[] datagram) throws IOException {
        try (PinnedObject pinned = PinnedObject.create(datagram)) {
            SignedWord sent = Libc.send(
                    socket, pinned.addressOfArrayElement(0), WordFactory.unsigned(datagram.length), 0);
            if (sent.rawValue() != datagram.length) {
                throw failure("send");
            }
        }
    }

    @Override
    public byte[] receive() throws IOException {
        // Reads the length first, so that no datagram is truncated.
        long length = receive(new byte[1], MSG_PEEK | MSG_TRUNC);
        if (length > MOST) {
            throw new IOException("a response of " + length + " bytes");
        }
        byte[] datagram = new byte[(int) length];
        if (receive(datagram, MSG_TRUNC) != length) {
            throw new IOException("a response that changed while it was read");
        }
        return datagram;
    }

    private long receive(byte[] into, int flags) throws IOException {
        try (PinnedObject pinned = PinnedObject.create(into)) {
            while (true) {
                long length = Libc.recv(
                        socket, pinned.addressOfArrayElement(0), WordFactory.unsigned(into.length), flags).rawValue();
                if (length > 0) {
                    return length;
                }
                if (length == 0 || Libc.errno() != Errno.EINTR) {
                    throw failure("recv");
                }
            }
        }
    }

    @Override
    public void close() {
        Libc.close(socket);
    }

    private static ByteBuffer numbers(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    }

    private static IOException failure(String call) {
        return new IOException(call + ": " + Errno.describe(Libc.errno()));
    }
}
