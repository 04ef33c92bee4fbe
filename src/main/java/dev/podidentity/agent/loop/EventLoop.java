package dev.podidentity.agent.loop;

import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.impl.ContextInternal;
import java.time.Duration;

/**
 * The one event loop on which the agent's state lives: what runs on it needs no lock, and sees what ran before. Vert.x
 * is given a single one, so that every listener and every connection is on it too.
 */
public final class EventLoop implements Loop {

    private final Vertx vertx;
    private final Context context;

    public EventLoop(Vertx vertx, Context context) {
        this.vertx = vertx;
        this.context = context;
    }

    /** The same event loop as Netty's channels know it. */
    public io.netty.channel.EventLoop netty() {
        return ((ContextInternal) context).nettyEventLoop();
    }

    @Override
    public Timer schedule(Duration delay, Runnable task) {
        // Vert.x takes no delay under a millisecond.
        long id = vertx.setTimer(Math.max(1, delay.toMillis()), fired -> task.run());
        return () -> vertx.cancelTimer(id);
    }

    @Override
    public void execute(Runnable task) {
        context.runOnContext(ignored -> task.run());
    }
}
