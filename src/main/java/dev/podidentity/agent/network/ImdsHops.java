package dev.podidentity.agent.network;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.graalvm.nativeimage.PinnedObject;
import org.graalvm.word.WordFactory;

/**
 * Determines how far IMDS tokens travel. IMDSv2 sends the response to a token request with the instance's hop limit as the
 * time to live of its packets. The kernel can drop the packets of a socket whose time to live is lower than a minimum
 * (IP_MINTTL): a token that arrives although packets with one hop left are dropped could be forwarded to a pod.
 */
public final class ImdsHops {

    /** The result. */
    public enum Reach {
        /** A pod on its own network gets no token. */
        NODE_ONLY,
        /** A pod on its own network can get a token. */
        PODS,
        /** IMDS issues no token here. */
        NO_ANSWER,
        /** This kernel, or a JVM, cannot tell. */
        UNKNOWN
    }

    private static final String ADDRESS = "169.254.169.254";
    private static final int PORT = 80;
    private static final int AF_INET = 2;
    private static final int SOCK_STREAM_CLOEXEC = 1 | 0x80000;
    private static final int SOL_SOCKET = 1;
    private static final int SO_RCVTIMEO = 20;
    private static final int SO_SNDTIMEO = 21;
    private static final int IPPROTO_IP = 0;
    private static final int IP_MINTTL = 21;
    private static final int MSG_NOSIGNAL = 0x4000;
    private static final int SOCKADDR_LENGTH = 16;
    private static final int ANY_TTL = 1;
    private static final int TTL_FOR_PODS = 2;
    private static final int ANSWER = 512;
    private static final String REQUEST = "PUT /latest/api/token HTTP/1.1\r\nHost: " + ADDRESS
            + "\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

    private ImdsHops() {}

    /**
     * Requests two tokens from IMDS and discards them. Blocks for up to four seconds; the main thread must call this before
     * it starts others.
     */
    public static Reach look() {
        if (!Libc.available()) {
            return Reach.UNKNOWN;
        }
        return switch (answered(ANY_TTL)) {
            case NOT_SET -> Reach.UNKNOWN;
            case NONE -> Reach.NO_ANSWER;
            case TOKEN -> answered(TTL_FOR_PODS) == Answer.TOKEN ? Reach.PODS : Reach.NODE_ONLY;
        };
    }

    private enum Answer {
        TOKEN,
        NONE,
        NOT_SET
    }

    private static Answer answered(int leastTtl) {
        int socket = Libc.socket(AF_INET, SOCK_STREAM_CLOEXEC, 0);
        if (socket < 0) {
            return Answer.NOT_SET;
        }
        try {
            // One second, the timeout of the SDKs for IMDS.
            ByteBuffer second = numbers(2 * Long.BYTES).putLong(1).putLong(0);
            set(socket, SOL_SOCKET, SO_RCVTIMEO, second);
            set(socket, SOL_SOCKET, SO_SNDTIMEO, second);
            if (!connect(socket)) {
                return Answer.NONE;
            }
            // Not set earlier, because the packets of the TCP handshake have the usual time to live.
            if (!set(socket, IPPROTO_IP, IP_MINTTL, numbers(Integer.BYTES).putInt(leastTtl))) {
                return Answer.NOT_SET;
            }
            return ask(socket) ? Answer.TOKEN : Answer.NONE;
        } catch (IOException e) {
            return Answer.NOT_SET;
        } finally {
            Libc.close(socket);
        }
    }

    private static boolean connect(int socket) throws IOException {
        byte[] address = numbers(SOCKADDR_LENGTH)
                .putShort((short) AF_INET)
                .order(ByteOrder.BIG_ENDIAN)
                .putShort((short) PORT)
                .put(InetAddress.getByName(ADDRESS).getAddress())
                .array();
        try (PinnedObject pinned = PinnedObject.create(address)) {
            return Libc.connect(socket, pinned.addressOfArrayElement(0), address.length) == 0;
        }
    }

    private static boolean set(int socket, int level, int option, ByteBuffer value) {
        try (PinnedObject pinned = PinnedObject.create(value.array())) {
            return Libc.setsockopt(socket, level, option, pinned.addressOfArrayElement(0), value.capacity()) == 0;
        }
    }

    private static boolean ask(int socket) {
        byte[] request = REQUEST.getBytes(StandardCharsets.US_ASCII);
        byte[] answer = new byte[ANSWER];
        try (PinnedObject sent = PinnedObject.create(request); PinnedObject received = PinnedObject.create(answer)) {
            if (Libc.send(socket, sent.addressOfArrayElement(0), WordFactory.unsigned(request.length), MSG_NOSIGNAL).rawValue()
                    != request.length) {
                return false;
            }
            long length = Libc.recv(socket, received.addressOfArrayElement(0), WordFactory.unsigned(ANSWER), 0).rawValue();
            return length > 0 && grants(answer, (int) length);
        }
    }

    static boolean grants(byte[] answer, int length) {
        String line = new String(answer, 0, length, StandardCharsets.ISO_8859_1).lines().findFirst().orElse("");
        return line.startsWith("HTTP/1.") && line.contains(" 200");
    }

    private static ByteBuffer numbers(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    }
}
