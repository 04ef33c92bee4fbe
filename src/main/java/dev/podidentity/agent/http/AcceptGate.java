package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.Shares;
import dev.podidentity.agent.observe.Limit;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;

/**
 * Limits the connections for probes or metrics that were accepted but have not reached the event loop yet. Vert.x accepts on
 * a separate thread, which can be faster than the event loop, and nothing else limits the connections in between: a client
 * that opens and closes connections as fast as it can would fill the heap. The accepting thread closes connections beyond
 * the limit. This costs little, so a flood does not delay other sources.
 *
 * <p>A handler in the pipeline of the accepting socket. Used by the accepting thread and by the event loop.
 */
@ChannelHandler.Sharable
final class AcceptGate extends ChannelInboundHandlerAdapter {

    /** The limit for all sources together. */
    static final int MOST = 64;
    static final int MOST_OF_SOURCE = MOST / 2;
    /** Each rejection is counted and some are logged. During a flood, the rest need not be. */
    private static final int MOST_UNREPORTED = 1024;

    private final Executor loop;
    private final BiConsumer<Limit, String> rejected;
    // Both are guarded by this.
    private final Shares waiting = new Shares(MOST, MOST_OF_SOURCE, 0);
    private final List<Runnable> unreported = new ArrayList<>();

    /**
     * @param loop the event loop that serves the connections
     * @param rejected receives, on the event loop, the limit and the source of each closed connection
     */
    AcceptGate(Executor loop, BiConsumer<Limit, String> rejected) {
        this.loop = loop;
        this.rejected = rejected;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        Channel accepted = (Channel) message;
        if (!(accepted.remoteAddress() instanceof InetSocketAddress address)) {
            accepted.unsafe().closeForcibly();
            return;
        }
        String source = address.getAddress().getHostAddress();
        if (enter(source)) {
            context.fireChannelRead(accepted);
            // The event loop runs this after it has registered the connection, which the line above has requested.
            loop.execute(() -> leave(source));
        } else {
            accepted.unsafe().closeForcibly();
        }
    }

    private synchronized boolean enter(String source) {
        if (waiting.take(source, 1)) {
            return true;
        }
        Limit limit = waiting.of(source) < MOST_OF_SOURCE ? Limit.CONNECTIONS : Limit.SOURCE_CONNECTIONS;
        if (unreported.isEmpty()) {
            loop.execute(this::report);
        }
        if (unreported.size() < MOST_UNREPORTED) {
            unreported.add(() -> rejected.accept(limit, source));
        }
        return false;
    }

    private synchronized void leave(String source) {
        waiting.give(source, 1);
    }

    private void report() {
        takeUnreported().forEach(Runnable::run);
    }

    private synchronized List<Runnable> takeUnreported() {
        List<Runnable> taken = List.copyOf(unreported);
        unreported.clear();
        return taken;
    }
}
