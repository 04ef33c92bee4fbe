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
 * Decodes complete request heads with Netty's decoder, outside of a pipeline. One decoder serves all connections in turn,
 * because each call starts and ends a head. What a decoder keeps of a long header line is therefore kept once, and not for
 * each connection. Confined to the event loop.
 */
final class HeadDecoder extends VertxHttpRequestDecoder {

    private final List<Object> decoded = new ArrayList<>(2);

    /**
     * The head of a request.
     *
     * @param request a placeholder if the request could not be decoded
     * @param failure why it must not be handled; null if it may be
     * @param complete whether the request ends with its head
     * @param last whether the client asks to close the connection, or announces a body in any way
     */
    record Head(HttpRequest request, Throwable failure, boolean complete, boolean last) {

        /** Returns whether nothing may be read after this request, because what follows could be its body. */
        boolean isLast() {
            return last || !complete;
        }
    }

    HeadDecoder() {
        // RequestHeads has checked the size, so these limits only need to be at least as high.
        super(new HttpServerOptions()
                .setMaxInitialLineLength(RequestHeads.LONGEST_REQUEST_LINE)
                .setMaxHeaderSize(RequestHeads.LARGEST_HEADERS));
    }

    /**
     * Decodes a head.
     *
     * @param bytes a complete head; its readable bytes are consumed
     * @throws Exception never for any input; Netty declares it
     */
    Head decode(ByteBuf bytes) throws Exception {
        decoded.clear();
        // To the decoder, each head is the first of its connection, whatever the result of the last one was.
        reset();
        decode(null, bytes, decoded);
        if (decoded.isEmpty() || !(decoded.get(0) instanceof HttpRequest request) || bytes.isReadable()) {
            return refused(new IllegalArgumentException("not one head"));
        }
        boolean complete = decoded.size() == 2 && decoded.get(1) == LastHttpContent.EMPTY_LAST_CONTENT;
        Throwable failure = request.decoderResult().cause();
        // Compared by identity, as Vert.x does, because Netty creates another version for another spelling.
        if (request.protocolVersion() != HttpVersion.HTTP_1_1 && request.protocolVersion() != HttpVersion.HTTP_1_0) {
            // Vert.x would itself respond with a 501 without a body.
            return refused(failure == null ? new IllegalArgumentException("not HTTP/1.0 or 1.1") : failure);
        }
        // Vert.x would close the connection of a failed request immediately, which could discard the response.
        request.setDecoderResult(DecoderResult.SUCCESS);
        boolean last = !HttpUtil.isKeepAlive(request) || RequestGuard.hasBody(request.headers());
        return new Head(request, failure, complete && failure == null, last);
    }

    /** A placeholder for a request that is not decoded, or not handled in any case. */
    static Head refused(Throwable failure) {
        return new Head(
                new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.GET, "/", Unpooled.EMPTY_BUFFER, false),
                failure,
                false,
                true);
    }
}
