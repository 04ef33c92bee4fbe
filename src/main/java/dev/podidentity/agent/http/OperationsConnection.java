package dev.podidentity.agent.http;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.LastHttpContent;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.net.impl.ConnectionBase;
import java.util.Optional;

/** A connection for probes or metrics: the last handler before Vert.x's, to which it passes complete requests. */
final class OperationsConnection extends ClientConnection {

    /** Names that Vert.x uses in the pipeline. */
    private static final String DECODER = "httpDecoder";
    private static final String HANDLER = "handler";

    /** Why the last request must not be handled; null if it may be. */
    private Throwable failure;

    private OperationsConnection(Channel channel, String source, Connections connections) {
        super(channel, source, connections);
    }

    /** Adds a connection that Vert.x has accepted, or closes it. */
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

    /** Returns the connection of a request; empty if it was not added. */
    static Optional<OperationsConnection> of(HttpConnection accepted) {
        return Optional.ofNullable(channel(accepted).pipeline().get(OperationsConnection.class));
    }

    static Channel channel(HttpConnection accepted) {
        return ((ConnectionBase) accepted).channel();
    }

    /** Returns why the current request cannot be handled: it is not HTTP, it is too large, or too much is in progress. */
    Optional<Throwable> failure() {
        return lastRequest() ? Optional.ofNullable(failure) : Optional.empty();
    }

    /**
     * Returns whether the current request is the last one, because nothing was read after it. Vert.x passes the requests of
     * a connection one after another.
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
