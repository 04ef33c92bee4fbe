package dev.podidentity.agent.http;

import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;

/**
 * Sees the requests and answers of one connection between the HTTP codec and Vert.x: counts the requests that have no
 * answer yet, lets nothing through once the connection is to be closed, and takes a request of another version than
 * HTTP/1.0 and HTTP/1.1 for one that cannot be read, which Vert.x would answer by itself with a 501 and no body.
 */
final class RequestTracker extends ChannelDuplexHandler {

    private final ClientConnection connection;

    RequestTracker(ClientConnection connection) {
        this.connection = connection;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (message instanceof HttpRequest request) {
            checkVersion(request);
            connection.requestBegan();
        }
        if (connection.closing()) {
            ReferenceCountUtil.release(message);
        } else {
            context.fireChannelRead(message);
        }
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
        if (message instanceof LastHttpContent) {
            connection.requestEnded();
        }
        context.write(message, promise);
    }

    private static void checkVersion(HttpRequest request) {
        // By identity, as Vert.x does: Netty makes a version of its own of another spelling.
        if (request.protocolVersion() != HttpVersion.HTTP_1_1 && request.protocolVersion() != HttpVersion.HTTP_1_0) {
            request.setProtocolVersion(HttpVersion.HTTP_1_1);
            if (request.decoderResult().isSuccess()) {
                request.setDecoderResult(DecoderResult.failure(new IllegalArgumentException("not HTTP/1.0 or 1.1")));
            }
        }
    }
}
