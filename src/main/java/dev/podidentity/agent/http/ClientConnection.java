package dev.podidentity.agent.http;

import dev.podidentity.agent.credentials.CredentialService.Waiting;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.Metrics;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.socket.DuplexChannel;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * One connection of a client, as the first handler of its pipeline: sees to it that the headers of a request come in
 * time, that requests do not pile up, that answers are read, and that the last answer arrives before the connection is
 * closed. Vert.x offers none of the four. Confined to the event loop.
 */
final class ClientConnection extends ChannelInboundHandlerAdapter {

    /** Time for a client that still sends to read its answer; closing at once could take it away again. */
    private static final Duration LINGER = Duration.ofSeconds(1);
    /** No SDK sends a request before it has the last answer; some tools do, a few. */
    private static final int MOST_UNANSWERED = 16;

    private final Channel channel;
    private final String source;
    private final Duration headerTimeout;
    private final Metrics metrics;
    private Optional<ScheduledFuture<?>> headerTimer = Optional.empty();
    private Optional<Waiting> waiting = Optional.empty();
    private int unanswered;
    private boolean closing;

    ClientConnection(Channel channel, String source, Duration headerTimeout, Metrics metrics) {
        this.channel = channel;
        this.source = source;
        this.headerTimeout = headerTimeout;
        this.metrics = metrics;
    }

    /** The address at the other end. */
    String source() {
        return source;
    }

    /** Whether a request has no answer yet. */
    boolean busy() {
        return unanswered > 0;
    }

    /** Whether the connection is to be closed, and takes no more requests. */
    boolean closing() {
        return closing;
    }

    /** The headers of a request are complete. */
    void requestBegan() {
        stopHeaderTimer();
        unanswered++;
        if (unanswered > MOST_UNANSWERED) {
            metrics.limited(Limit.PIPELINED_REQUESTS);
            close();
        }
    }

    /** An answer has been written. */
    void requestEnded() {
        unanswered--;
    }

    /** A request waits for its answer; to be abandoned if the connection closes. */
    void waits(Waiting request) {
        waiting = Optional.of(request);
    }

    /** Reads no more for a while. */
    void pause(Duration time) {
        channel.config().setAutoRead(false);
        channel.eventLoop().schedule(
                () -> channel.config().setAutoRead(true), time.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** The connection is closed. */
    void closed() {
        closing = true;
        stopHeaderTimer();
        waiting.ifPresent(Waiting::abandon);
        waiting = Optional.empty();
    }

    /** Closes the connection at once. */
    void close() {
        closing = true;
        channel.close();
    }

    /** From now on takes no more requests; the answer that is about to be written is the last. */
    void lastAnswer() {
        closing = true;
    }

    /** Closes the connection, once the client has had time to read the last answer. */
    void closeGently() {
        if (channel.isActive()) {
            ((DuplexChannel) channel).shutdownOutput();
            channel.eventLoop().schedule(() -> channel.close(), LINGER.toMillis(), TimeUnit.MILLISECONDS);
        }
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (closing) {
            ReferenceCountUtil.release(message);
            return;
        }
        if (!busy() && headerTimer.isEmpty()) {
            headerTimer = Optional.of(channel.eventLoop().schedule(
                    this::headersLate, headerTimeout.toMillis(), TimeUnit.MILLISECONDS));
        }
        context.fireChannelRead(message);
    }

    /** Answers pile up only for a client that sends request upon request and reads nothing: no SDK does. */
    @Override
    public void channelWritabilityChanged(ChannelHandlerContext context) {
        if (!channel.isWritable()) {
            close();
            return;
        }
        context.fireChannelWritabilityChanged();
    }

    private void headersLate() {
        headerTimer = Optional.empty();
        metrics.limited(Limit.HEADER_TIME);
        close();
    }

    private void stopHeaderTimer() {
        headerTimer.ifPresent(timer -> timer.cancel(false));
        headerTimer = Optional.empty();
    }
}
