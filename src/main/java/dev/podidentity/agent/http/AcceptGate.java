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
 * Bounds the connections that were accepted and have not reached the event loop yet. Vert.x accepts on a thread of its own,
 * which can accept faster than the event loop takes in, and what waits in between is limited by nothing else: one client that
 * opens and closes connections as fast as it can would fill the heap with them. What is beyond is closed by the thread
 * that accepts, which costs little, so that a flood does not keep other sources waiting.
 *
 * <p>One for all sockets of a kind that accept, as a handler in their pipelines. Used by the threads that accept and by the
 * event loop.
 */
@ChannelHandler.Sharable
final class AcceptGate extends ChannelInboundHandlerAdapter {

    /** Of one source: a burst of twice a node's pods, which may share an address, while the loop is busy. */
    static final int MOST_OF_SOURCE = 512;
    private static final int MOST = 768;
    /** Whoever has no connection here gets one in, while others have taken all. */
    private static final int RESERVED = 1;
    static final int MOST_WITH_RESERVED = MOST + Shares.SOURCES * RESERVED;
    /** Of probes, or of metrics, whoever opens them. */
    static final int MOST_OF_OPERATIONS = 64;
    /** Each is counted and, now and then, logged; the rest of a flood need not be. */
    private static final int MOST_UNREPORTED = 1024;

    private final int mostOfSource;
    private final Executor loop;
    private final BiConsumer<Limit, String> rejected;
    // Both guarded by this.
    private final Shares waiting;
    private final List<Runnable> unreported = new ArrayList<>();

    private AcceptGate(int most, int mostOfSource, int reserved, Executor loop, BiConsumer<Limit, String> rejected) {
        this.waiting = new Shares(most, mostOfSource, reserved);
        this.mostOfSource = mostOfSource;
        this.loop = loop;
        this.rejected = rejected;
    }

    /**
     * The gate of pods.
     *
     * @param loop the event loop that takes the connections in
     * @param rejected is told on the event loop of connections that were closed, by which limit and of what source
     */
    static AcceptGate ofPods(Executor loop, BiConsumer<Limit, String> rejected) {
        return new AcceptGate(MOST, MOST_OF_SOURCE, RESERVED, loop, rejected);
    }

    /** The gate of probes, or of metrics; the same as {@link #ofPods} otherwise. */
    static AcceptGate ofOperations(Executor loop, BiConsumer<Limit, String> rejected) {
        return new AcceptGate(MOST_OF_OPERATIONS, MOST_OF_OPERATIONS / 2, 0, loop, rejected);
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
        Limit limit = waiting.of(source) < mostOfSource ? Limit.CONNECTIONS : Limit.SOURCE_CONNECTIONS;
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
