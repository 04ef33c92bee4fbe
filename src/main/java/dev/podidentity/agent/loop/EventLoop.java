package dev.podidentity.agent.loop;

import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.impl.ContextInternal;
import java.time.Duration;

/**
 * The one event loop that owns the agent's state. Code that runs on it needs no locks and sees the effects of what ran
 * before. Vert.x has only this event loop, so every listener and connection uses it too.
 */
public final class EventLoop implements Loop {

    private final Vertx vertx;
    private final Context context;

    public EventLoop(Vertx vertx, Context context) {
        this.vertx = vertx;
        this.context = context;
    }

    /** Returns the same event loop in Netty's type. */
    public io.netty.channel.EventLoop netty() {
        return ((ContextInternal) context).nettyEventLoop();
    }

    @Override
    public Timer schedule(Duration delay, Runnable task) {
        // Vert.x does not accept a delay under a millisecond.
        long id = vertx.setTimer(Math.max(1, delay.toMillis()), fired -> task.run());
        return () -> vertx.cancelTimer(id);
    }

    @Override
    public void execute(Runnable task) {
        context.runOnContext(ignored -> task.run());
    }
}
