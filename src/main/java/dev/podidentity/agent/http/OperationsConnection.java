package dev.podidentity.agent.http;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.LastHttpContent;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.net.impl.ConnectionBase;
import java.util.Optional;

/** A connection for probes or metrics, as the last handler before Vert.x's: gives Vert.x whole requests. */
final class OperationsConnection extends ClientConnection {

    /** Vert.x's names in the pipeline. */
    private static final String DECODER = "httpDecoder";
    private static final String HANDLER = "handler";

    /** Why the last request is not to be handled; null if it is. */
    private Throwable failure;

    private OperationsConnection(Channel channel, String source, Connections connections) {
        super(channel, source, connections);
    }

    /** Takes in a connection that Vert.x has accepted, or closes it. */
    static void opened(HttpConnection accepted, Connections connections) {
        Channel channel = channel(accepted);
        String source = accepted.remoteAddress().hostAddress();
        if (!connections.admits(source)) {
            channel.close();
            return;
        }
        OperationsConnection client = new OperationsConnection(channel, source, connections);
        channel.pipeline().addBefore(HANDLER, null, client).remove(DECODER);
        connections.opened(client);
    }

    /** What a request came on; nothing if it was not taken in. */
    static Optional<OperationsConnection> of(HttpConnection accepted) {
        return Optional.ofNullable(channel(accepted).pipeline().get(OperationsConnection.class));
    }

    static Channel channel(HttpConnection accepted) {
        return ((ConnectionBase) accepted).channel();
    }

    /** Why the request whose turn it is cannot be handled: it is not HTTP, or too large, or too much is under way. */
    Optional<Throwable> failure() {
        return lastRequest() ? Optional.ofNullable(failure) : Optional.empty();
    }

    /**
     * Whether the request whose turn it is is the last one, as nothing was read after it. Vert.x gives the requests of a
     * connection one after another.
     */
    boolean lastRequest() {
        return deaf() && unwritten() == 1;
    }

    @Override
    void handle(HeadDecoder.Head head, ByteBuf whole) {
        failure = head.failure();
        context().fireChannelRead(head.request());
        if (head.complete()) {
            context().fireChannelRead(LastHttpContent.EMPTY_LAST_CONTENT);
        }
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
        if (message instanceof LastHttpContent) {
            answered(context.write(message, promise.unvoid()));
        } else {
            context.write(message, promise);
        }
    }
}
