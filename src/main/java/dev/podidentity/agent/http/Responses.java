package dev.podidentity.agent.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufUtil;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;

/** Encodes responses with a JSON body, each into one buffer. */
final class Responses {

    private static final String HEADERS = "Content-Type: application/json\r\nCache-Control: no-store\r\n";
    private static final String CLOSE = "connection: close\r\n";
    private static final String KEEP_ALIVE = "connection: keep-alive\r\n";

    private Responses() {}

    /**
     * Returns the response to a request; the caller releases it.
     *
     * @param headers header lines in addition to those of every response
     * @param last whether to announce that the connection closes
     * @param body JSON in UTF-8; omitted in the response to a HEAD request
     */
    static ByteBuf of(
            ByteBufAllocator buffers, HttpRequest request, int status, String headers, boolean last, byte[] body) {
        StringBuilder head = new StringBuilder(256)
                .append(request.protocolVersion())
                .append(' ')
                .append(HttpResponseStatus.valueOf(status))
                .append("\r\n")
                .append(headers)
                .append(HEADERS);
        if (last) {
            head.append(CLOSE);
        } else if (request.protocolVersion().equals(HttpVersion.HTTP_1_0)) {
            head.append(KEEP_ALIVE);
        }
        head.append("content-length: ").append(body.length).append("\r\n\r\n");
        boolean withBody = !request.method().equals(HttpMethod.HEAD);
        ByteBuf response = buffers.ioBuffer(head.length() + (withBody ? body.length : 0));
        ByteBufUtil.writeAscii(response, head);
        return withBody ? response.writeBytes(body) : response;
    }
}
