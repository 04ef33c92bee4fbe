package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.Shares;
import dev.podidentity.agent.observe.Limit;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * One connection of a client: a handler in its pipeline that replaces Netty's decoder. It extracts complete requests, and
 * charges the source's budget for unfinished work: for the bytes of an incomplete head, and for each request until its
 * response has been sent. It enforces the header timeout and the limit on pipelined requests, reads nothing after the last
 * request or one with a body, and makes sure that the last response arrives before the connection closes. An idle connection
 * keeps no reference to its earlier requests. Confined to the event loop.
 */
abstract class ClientConnection extends ChannelDuplexHandler {

    /** Thrown if a request is rejected because too much is in progress. */
    static final RuntimeException OVER_BUDGET = new OverBudget();

    /** Time for a client that still sends to read its response. Closing immediately could discard it. */
    private static final Duration LINGER = Duration.ofSeconds(1);
    private static final Duration RATE_PAUSE = Duration.ofMillis(200);

    private final Channel channel;
    private final String source;
    private final Connections connections;
    private final RequestHeads heads;
    private ChannelHandlerContext context;
    /** The budget taken by each request whose response has not been sent, oldest first. Null if there are none. */
    private ArrayDeque<Integer> unanswered;
    /** How many of them have no response yet. */
    private int unwritten;
    private final ChannelFutureListener sent = written -> answerSent();
    /** Ends the wait for the rest of a head, or for the client to accept the last response. */
    private Optional<ScheduledFuture<?>> timer = Optional.empty();
    /** The budget taken by the incomplete head. */
    private int unfinished;
    private boolean deaf;
    private boolean closing;
    private boolean closed;
    /** The number of the last idle scan before there was activity on this connection. */
    private int moved;

    ClientConnection(Channel channel, String source, Connections connections) {
        this.channel = channel;
        this.source = source;
        this.connections = connections;
        this.heads = new RequestHeads(connections.limits().largestHeaders());
        this.moved = connections.looks();
    }

    /**
     * Handles a request, now or when the responses to earlier ones have been written.
     *
     * @param whole the bytes that were decoded, valid during the call; null if the request could not be decoded
     */
    abstract void handle(HeadDecoder.Head head, ByteBuf whole);

    /** Responds through the fast path if the received bytes are exactly one request that it knows. */
    boolean answerAtOnce(ByteBuf bytes) {
        return false;
    }

    /** Called when the received bytes have been handled as far as possible. */
    void readAll() {}

    /** Returns the client's address. */
    final String source() {
        return source;
    }

    final Channel channel() {
        return channel;
    }

    final Connections connections() {
        return connections;
    }

    final ChannelHandlerContext context() {
        return context;
    }

    /** Returns whether a request has no response yet, or one that has not been sent. */
    final boolean busy() {
        return unanswered != null;
    }

    /** Returns whether the connection will close without responding to further requests. */
    final boolean closing() {
        return closing;
    }

    /** Returns whether nothing more is read. */
    final boolean deaf() {
        return deaf;
    }

    /** Returns the number of requests without a response. */
    final int unwritten() {
        return unwritten;
    }

    /** Returns the number of the last idle scan before the last read or sent response. */
    final int moved() {
        return moved;
    }

    /** Stops reading for a while, because the source exceeds its rate and rejecting requests costs CPU time too. */
    final void pause() {
        channel.config().setAutoRead(false);
        channel.eventLoop().schedule(
                () -> channel.config().setAutoRead(true), RATE_PAUSE.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** Called when the connection has been closed. */
    void closed() {
        closed = true;
        closing = true;
        deaf = true;
        drop();
        if (unanswered != null) {
            connections.answered(unanswered.size());
            unanswered.forEach(this::give);
            unanswered = null;
        }
    }

    /** Closes the connection immediately, even if the client has not received everything. */
    final void close() {
        closing = true;
        deaf = true;
        // Closes the channel directly, because Vert.x would first wait for pending writes.
        context.close();
    }

    /** Accepts no more requests. The next response is the last, and the connection closes once it has been sent. */
    final void lastAnswer() {
        closing = true;
        deaf = true;
        drop();
        // A client that continues to send is never idle, even if it does not read.
        startTimer(this::close, limits().headerTimeout());
    }

    /** The response to the current request has been written; it has been sent when the future completes. */
    final void answered(ChannelFuture written) {
        unwritten--;
        written.addListener(sent);
    }

    /** Releases the budget of the given number of most recent requests, which get no response. */
    final void forgetLast(int requests) {
        for (int i = 0; i < requests; i++) {
            unwritten--;
            give(unanswered.removeLast());
        }
        connections.answered(requests);
    }

    /** Charges a response that was written for a request without a charge. */
    final void answeredAtOnce(ChannelFuture written, int cost) {
        if (!written.isDone()) {
            payUntilSent(written, cost);
        } else if (closing) {
            closeGently();
        }
    }

    @Override
    public void handlerAdded(ChannelHandlerContext added) {
        context = added;
    }

    @Override
    public final void channelRead(ChannelHandlerContext same, Object message) throws Exception {
        if (!(message instanceof ByteBuf bytes)) {
            context.fireChannelRead(message);
            return;
        }
        moved = connections.looks();
        try {
            read(bytes);
        } catch (TooLongFrameException e) {
            drop();
            connections.rejected(Limit.HEADERS, source);
            pass(HeadDecoder.refused(e), null, 0);
        } finally {
            ReferenceCountUtil.release(bytes);
        }
        readAll();
    }

    private void read(ByteBuf bytes) throws Exception {
        if (!busy() && !deaf && !heads.begun() && answerAtOnce(bytes)) {
            return;
        }
        while (!deaf && bytes.isReadable()) {
            ByteBuf head = heads.next(bytes);
            if (head != null) {
                drop();
                request(head);
            } else if (heads.begun()) {
                keepUnfinished();
            }
        }
    }

    /** The client does not accept its response at once, so the rest of it remains in memory. */
    private void payUntilSent(ChannelFuture written, int cost) {
        if (!shares().take(source, cost)) {
            connections.rejected(Limit.REQUEST_BYTES, source);
            close();
            return;
        }
        unanswered = new ArrayDeque<>(2);
        unanswered.add(cost);
        connections.asked();
        written.addListener(sent);
    }

    private void request(ByteBuf bytes) throws Exception {
        int cost = limits().cost(bytes.readableBytes(), heads.lines());
        if (shares().take(source, cost)) {
            ByteBuf whole = bytes.duplicate();
            pass(connections.decoder().decode(bytes), whole, cost);
        } else {
            connections.rejected(Limit.REQUEST_BYTES, source);
            pass(HeadDecoder.refused(OVER_BUDGET), null, 0);
        }
    }

    /** Handles a request that has been charged. */
    private void pass(HeadDecoder.Head head, ByteBuf whole, int cost) {
        if (unanswered == null) {
            unanswered = new ArrayDeque<>(2);
        }
        unanswered.add(cost);
        unwritten++;
        connections.asked();
        if (unanswered.size() > ConnectionLimits.MOST_UNANSWERED) {
            // The responses to requests that were read together are sent when all of them have been handled.
            context.flush();
        }
        if (busy() && unanswered.size() > ConnectionLimits.MOST_UNANSWERED) {
            connections.rejected(Limit.PIPELINED_REQUESTS, source);
            close();
            return;
        }
        // What follows may be a body or undecodable, or must not be answered.
        deaf = head.isLast();
        handle(head, whole);
    }

    private void keepUnfinished() {
        int more = heads.kept() - unfinished;
        if (more > 0 && !shares().take(source, more)) {
            connections.rejected(Limit.REQUEST_BYTES, source);
            drop();
            close();
            return;
        }
        unfinished += more;
        if (timer.isEmpty()) {
            startTimer(this::headersLate, limits().headerTimeout());
        }
    }

    /** Releases the stored bytes of a head that is complete, or never will be. */
    private void drop() {
        heads.clear();
        give(unfinished);
        unfinished = 0;
        stopTimer();
    }

    private void startTimer(Runnable task, Duration delay) {
        stopTimer();
        if (!closed) {
            timer = Optional.of(channel.eventLoop().schedule(task, delay.toMillis(), TimeUnit.MILLISECONDS));
        }
    }

    private void stopTimer() {
        timer.ifPresent(scheduled -> scheduled.cancel(false));
        timer = Optional.empty();
    }

    private void headersLate() {
        connections.rejected(Limit.HEADER_TIME, source);
        drop();
        close();
    }

    private void answerSent() {
        if (closed) {
            return;
        }
        moved = connections.looks();
        give(unanswered.remove());
        connections.answered(1);
        if (unanswered.isEmpty()) {
            unanswered = null;
            if (closing) {
                closeGently();
            }
        }
    }

    /** Closes the connection after the client has had time to read the last response. */
    private void closeGently() {
        if (channel.isActive()) {
            ((DuplexChannel) channel).shutdownOutput();
            startTimer(this::close, LINGER);
        }
    }

    private void give(int bytes) {
        if (bytes > 0) {
            shares().give(source, bytes);
        }
    }

    private ConnectionLimits limits() {
        return connections.limits();
    }

    private Shares shares() {
        return connections.shares();
    }

    /** Has no stack trace, because one instance is thrown for many requests. */
    private static final class OverBudget extends RuntimeException {

        OverBudget() {
            super("too much is under way", null, false, false);
        }
    }
}
