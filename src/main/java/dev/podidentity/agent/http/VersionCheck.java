package dev.podidentity.agent.http;

import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpVersion;

/**
 * Takes a request of another version than HTTP/1.0 and HTTP/1.1 for one that cannot be read. Vert.x would answer it by
 * itself, with a 501 and no body.
 */
@Sharable
final class VersionCheck extends ChannelInboundHandlerAdapter {

    static final VersionCheck INSTANCE = new VersionCheck();

    private VersionCheck() {}

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (message instanceof HttpRequest request
                && request.decoderResult().isSuccess()
                && !request.protocolVersion().equals(HttpVersion.HTTP_1_1)
                && !request.protocolVersion().equals(HttpVersion.HTTP_1_0)) {
            request.setDecoderResult(DecoderResult.failure(new IllegalArgumentException("not HTTP/1.0 or HTTP/1.1")));
        }
        context.fireChannelRead(message);
    }
}
