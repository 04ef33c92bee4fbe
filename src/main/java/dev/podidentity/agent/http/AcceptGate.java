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
 * Bounds the connections for probes, or for metrics, that were accepted and have not reached the event loop yet. Vert.x
 * accepts on a thread of its own, which can accept faster than the event loop takes in, and nothing else limits what waits
 * in between: one client that opens and closes connections as fast as it can would fill the heap with them. The thread that
 * accepts closes what is beyond the limit, which costs little, so that a flood does not keep other sources waiting.
 *
 * <p>A handler in the pipeline of the socket that accepts. Used by the thread that accepts and by the event loop.
 */
@ChannelHandler.Sharable
final class AcceptGate extends ChannelInboundHandlerAdapter {

    /** Of all sources together. */
    static final int MOST = 64;
    static final int MOST_OF_SOURCE = MOST / 2;
    /** Each is counted and, now and then, logged; the rest of a flood need not be. */
    private static final int MOST_UNREPORTED = 1024;

    private final Executor loop;
    private final BiConsumer<Limit, String> rejected;
    // Both guarded by this.
    private final Shares waiting = new Shares(MOST, MOST_OF_SOURCE, 0);
    private final List<Runnable> unreported = new ArrayList<>();

    /**
     * @param loop the event loop that takes the connections in
     * @param rejected is told on the event loop of connections that were closed, by which limit and of what source
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
            // The loop runs this after it has taken the connection in, which the line above has told it to.
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
