package dev.podidentity.agent.credentials;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The complete HTTP/1.1 response that serves credentials, encoded once: status line, headers and body in one array. A cache
 * hit sends a copy. Contains secrets; immutable.
 */
public final class EncodedAnswer {

    private static final String HEADERS = "HTTP/1.1 200 OK\r\n"
            + "Content-Type: application/json\r\n"
            + "Cache-Control: no-store\r\n";
    private static final String LENGTH = "content-length: ";
    private static final byte[] CLOSE = "connection: close\r\n".getBytes(StandardCharsets.US_ASCII);

    private final byte[] bytes;
    private final int bodyStart;

    private EncodedAnswer(byte[] bytes, int bodyStart) {
        this.bytes = bytes;
        this.bodyStart = bodyStart;
    }

    /** @param body JSON in UTF-8 */
    static EncodedAnswer of(byte[] body) {
        byte[] headers = (HEADERS + LENGTH + body.length + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII);
        byte[] bytes = Arrays.copyOf(headers, headers.length + body.length);
        System.arraycopy(body, 0, bytes, headers.length, body.length);
        return new EncodedAnswer(bytes, headers.length);
    }

    /**
     * Returns the response in one buffer; the caller releases it.
     *
     * @param last whether to announce that the connection closes
     */
    public ByteBuf response(ByteBufAllocator buffers, boolean last) {
        if (!last) {
            return buffers.ioBuffer(bytes.length).writeBytes(bytes);
        }
        int place = HEADERS.length();
        return buffers.ioBuffer(bytes.length + CLOSE.length)
                .writeBytes(bytes, 0, place)
                .writeBytes(CLOSE)
                .writeBytes(bytes, place, bytes.length - place);
    }

    /** Returns a copy of the body: JSON in UTF-8. */
    public byte[] body() {
        return Arrays.copyOfRange(bytes, bodyStart, bytes.length);
    }

    /** Returns its size in bytes. */
    int size() {
        return bytes.length;
    }

    /** Omits the secrets. */
    @Override
    public String toString() {
        return "EncodedAnswer[" + bytes.length + " bytes]";
    }
}
