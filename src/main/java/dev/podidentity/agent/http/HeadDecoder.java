package dev.podidentity.agent.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.impl.VertxHttpRequestDecoder;
import java.util.ArrayList;
import java.util.List;

/**
 * Decodes the whole heads of requests with Netty's decoder. It stands in no pipeline: one decoder serves all connections
 * in turn, since each call begins and ends a head, and what a decoder keeps of a long header line is kept once and not
 * for each connection. Confined to the event loop.
 */
final class HeadDecoder extends VertxHttpRequestDecoder {

    private final List<Object> decoded = new ArrayList<>(2);

    /**
     * The head of a request.
     *
     * @param request stands for the request where it could not be decoded
     * @param failure why it is not to be handled; null if it is
     * @param complete whether the request ends with its head
     * @param last whether the client asks for the connection to be closed, or says that a body follows, in whatever way
     */
    record Head(HttpRequest request, Throwable failure, boolean complete, boolean last) {

        /** Whether nothing is to be read after this request: what follows could be its body. */
        boolean isLast() {
            return last || !complete;
        }
    }

    HeadDecoder() {
        // RequestHeads has looked at the size, so that these limits only have to be no lower.
        super(new HttpServerOptions()
                .setMaxInitialLineLength(RequestHeads.LONGEST_REQUEST_LINE)
                .setMaxHeaderSize(RequestHeads.LARGEST_HEADERS));
    }

    /**
     * Decodes a head.
     *
     * @param bytes a whole head; its readable bytes are read
     * @throws Exception never for what was sent; Netty declares it
     */
    Head decode(ByteBuf bytes) throws Exception {
        decoded.clear();
        // Whatever the last head came to, this one is the first of its connection as far as the decoder knows.
        reset();
        decode(null, bytes, decoded);
        if (decoded.isEmpty() || !(decoded.get(0) instanceof HttpRequest request) || bytes.isReadable()) {
            return refused(new IllegalArgumentException("not one head"));
        }
        boolean complete = decoded.size() == 2 && decoded.get(1) == LastHttpContent.EMPTY_LAST_CONTENT;
        Throwable failure = request.decoderResult().cause();
        // By identity, as Vert.x does: Netty makes a version of its own of another spelling.
        if (request.protocolVersion() != HttpVersion.HTTP_1_1 && request.protocolVersion() != HttpVersion.HTTP_1_0) {
            // Vert.x would answer by itself, with a 501 and no body.
            return refused(failure == null ? new IllegalArgumentException("not HTTP/1.0 or 1.1") : failure);
        }
        // Vert.x would close the connection of a failed one at once, which could take the answer away from the client.
        request.setDecoderResult(DecoderResult.SUCCESS);
        boolean last = !HttpUtil.isKeepAlive(request) || RequestGuard.hasBody(request.headers());
        return new Head(request, failure, complete && failure == null, last);
    }

    /** Stands for a request that is not decoded, or not handled whatever it is. */
    static Head refused(Throwable failure) {
        return new Head(
                new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.GET, "/", Unpooled.EMPTY_BUFFER, false),
                failure,
                false,
                true);
    }
}
