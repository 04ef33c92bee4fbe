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
 * One connection of a client, as a handler in its pipeline in place of Netty's decoder. Finds whole requests in what the
 * client sends, and pays for what is unfinished: for the bytes of a head that is not whole, and for each request from then
 * on until its answer has been sent. Sees to it that heads come in time, that requests do not pile up, that nothing is read
 * after a request that is the last or has a body, and that the last answer arrives before the connection is closed. While
 * nothing is under way it holds nothing of the requests that it had. Confined to the event loop.
 */
abstract class ClientConnection extends ChannelDuplexHandler {

    /** Says that a request is turned away since too much is under way. */
    static final RuntimeException OVER_BUDGET = new OverBudget();

    /** Time for a client that still sends to read its answer; closing at once could take it away again. */
    private static final Duration LINGER = Duration.ofSeconds(1);
    private static final Duration RATE_PAUSE = Duration.ofMillis(200);

    private final Channel channel;
    private final String source;
    private final Connections connections;
    private final RequestHeads heads;
    private ChannelHandlerContext context;
    /** What each request takes whose answer is not sent yet, the oldest first. Null while there is none. */
    private ArrayDeque<Integer> unanswered;
    /** Those of them whose answer is not even written. */
    private int unwritten;
    private final ChannelFutureListener sent = written -> answerSent();
    /** Ends the wait for the rest of a head, or for the client to take the last answer. */
    private Optional<ScheduledFuture<?>> timer = Optional.empty();
    /** What the head that is not whole yet takes. */
    private int unfinished;
    private boolean deaf;
    private boolean closing;
    private boolean closed;
    /** The look at the connections before which something moved here last. */
    private int moved;

    ClientConnection(Channel channel, String source, Connections connections) {
        this.channel = channel;
        this.source = source;
        this.connections = connections;
        this.heads = new RequestHeads(connections.limits().largestHeaders());
        this.moved = connections.looks();
    }

    /**
     * Has a request handled: at once, or when the answers to those before it have been written.
     *
     * @param whole the bytes that were decoded, valid during the call; null if they were not
     */
    abstract void handle(HeadDecoder.Head head, ByteBuf whole);

    /** Answers what has come at once, if it is all of one request and there is a short way to its answer. */
    boolean answerAtOnce(ByteBuf bytes) {
        return false;
    }

    /** What has come has been handled as far as it can be. */
    void readAll() {}

    /** The address at the other end. */
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

    /** Whether a request has no answer yet, or one that is not sent yet. */
    final boolean busy() {
        return unanswered != null;
    }

    /** Whether the connection is to be closed, and answers no more requests. */
    final boolean closing() {
        return closing;
    }

    /** Whether nothing more is read. */
    final boolean deaf() {
        return deaf;
    }

    /** How many requests have no answer yet. */
    final int unwritten() {
        return unwritten;
    }

    /** The look at the connections before which something moved here last: a read, or an answer that was sent. */
    final int moved() {
        return moved;
    }

    /** Reads no more for a while: the source is over its rate, and turning requests away costs something too. */
    final void pause() {
        channel.config().setAutoRead(false);
        channel.eventLoop().schedule(
                () -> channel.config().setAutoRead(true), RATE_PAUSE.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** The connection is closed. */
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

    /** Closes the connection at once, whatever the client has not taken yet. */
    final void close() {
        closing = true;
        deaf = true;
        // Not the channel: Vert.x would first wait for what is written to be sent.
        context.close();
    }

    /** From now on takes no more requests; the answer that is about to be written is the last. Closes once it is sent. */
    final void lastAnswer() {
        closing = true;
        deaf = true;
        drop();
        // Whoever goes on sending is never idle, even if it does not read.
        startTimer(this::close, limits().headerTimeout());
    }

    /** The answer to the request whose turn it is has been written, and is sent when the future completes. */
    final void answered(ChannelFuture written) {
        unwritten--;
        written.addListener(sent);
    }

    /** So many of the requests that came last are not going to be answered. */
    final void forgetLast(int requests) {
        for (int i = 0; i < requests; i++) {
            unwritten--;
            give(unanswered.removeLast());
        }
        connections.answered(requests);
    }

    /** An answer that was written without a request having been paid for. */
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

    /** The client does not take its answer at once: what is left of it stays in memory. */
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

    /** Has a request handled, which is paid for. */
    private void pass(HeadDecoder.Head head, ByteBuf whole, int cost) {
        if (unanswered == null) {
            unanswered = new ArrayDeque<>(2);
        }
        unanswered.add(cost);
        unwritten++;
        connections.asked();
        if (unanswered.size() > ConnectionLimits.MOST_UNANSWERED) {
            // The answers to what was read together are sent when all of it has been handled.
            context.flush();
        }
        if (busy() && unanswered.size() > ConnectionLimits.MOST_UNANSWERED) {
            connections.rejected(Limit.PIPELINED_REQUESTS, source);
            close();
            return;
        }
        // What follows could be a body, or the rest of what cannot be read, or is not to be answered.
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

    /** Keeps nothing of a head any more: it is whole, or never will be. */
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

    /** Closes the connection, once the client has had time to read the last answer. */
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

    /** Has no stack trace: it says nothing of the agent, and there is one for many. */
    private static final class OverBudget extends RuntimeException {

        OverBudget() {
            super("too much is under way", null, false, false);
        }
    }
}
