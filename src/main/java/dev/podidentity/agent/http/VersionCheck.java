package dev.podidentity.agent.http;

import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpVersion;

/**
 * Takes a request of another version than HTTP/1.0 and HTTP/1.1 for one that cannot be read. Vert.x would answer it by
 * itself, with a 501, no body, and whatever stands in the place of the version.
 */
@Sharable
final class VersionCheck extends ChannelInboundHandlerAdapter {

    static final VersionCheck INSTANCE = new VersionCheck();

    private VersionCheck() {}

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        // By identity, as Vert.x does: Netty makes a version of its own of another spelling.
        if (message instanceof HttpRequest request
                && request.protocolVersion() != HttpVersion.HTTP_1_1
                && request.protocolVersion() != HttpVersion.HTTP_1_0) {
            request.setProtocolVersion(HttpVersion.HTTP_1_1);
            if (request.decoderResult().isSuccess()) {
                request.setDecoderResult(DecoderResult.failure(new IllegalArgumentException("not HTTP/1.0 or 1.1")));
            }
        }
        context.fireChannelRead(message);
    }
}
