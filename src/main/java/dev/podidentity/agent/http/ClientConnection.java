package dev.podidentity.agent.http;

import dev.podidentity.agent.credentials.CredentialService.Waiting;
import dev.podidentity.agent.loop.Shares;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.token.ServiceAccountToken;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import io.vertx.core.http.HttpConnection;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * One connection of a client, as the last handler before Vert.x's in its pipeline and in place of Netty's decoder. Gives
 * Vert.x whole requests, and pays for what is unfinished: for the bytes of a head that is not whole, and for each request
 * from then on until its answer has been sent. Sees to it that heads come in time, that requests do not pile up, that
 * nothing is read after a request that is the last or has a body, and that the last answer arrives before the connection
 * is closed. While nothing is under way it holds nothing of the requests that it had. Confined to the event loop.
 */
final class ClientConnection extends ChannelDuplexHandler {

    /** Says that a request is turned away since too much is under way. */
    static final RuntimeException OVER_BUDGET = new OverBudget();

    /** Time for a client that still sends to read its answer; closing at once could take it away again. */
    private static final Duration LINGER = Duration.ofSeconds(1);
    /** Vert.x's name in the pipeline. */
    private static final String ENCODER = "httpEncoder";
    private static final Duration RATE_PAUSE = Duration.ofMillis(200);

    private final HttpConnection connection;
    private final Channel channel;
    private final String source;
    private final Connections connections;
    private final ConnectionLimits limits;
    private final Shares shares;
    private final RequestHeads heads;
    private ChannelHandlerContext context;
    /** What is written here does not pass Vert.x's encoder. */
    private ChannelHandlerContext below;
    /** What each request takes whose answer is not sent yet, the oldest first. Null while there is none. */
    private ArrayDeque<Integer> unanswered;
    /** Those of them whose answer is not even written. */
    private int unwritten;
    private final ChannelFutureListener sent = written -> answerSent();
    /** Ends the wait for the rest of a head, or for the client to take the last answer. */
    private Optional<ScheduledFuture<?>> timer = Optional.empty();
    private Optional<Waiting> waiting = Optional.empty();
    /** What the head that is not whole yet takes. */
    private int unfinished;
    /** Why the last request is not to be handled; null if it is. */
    private Throwable failure;
    /** The token that the request which is being handled was served for, from the cache; else null. */
    private ServiceAccountToken hit;
    private boolean deaf;
    private boolean closing;
    private boolean closed;

    ClientConnection(
            HttpConnection connection, String source, Connections connections, ConnectionLimits limits, Shares shares) {
        this.connection = connection;
        this.channel = Connections.channel(connection);
        this.source = source;
        this.connections = connections;
        this.limits = limits;
        this.shares = shares;
        this.heads = new RequestHeads(limits.largestHeaders());
    }

    /** Vert.x's side of it. */
    HttpConnection connection() {
        return connection;
    }

    /** The address at the other end. */
    String source() {
        return source;
    }

    /** Whether a request has no answer yet, or one that is not sent yet. */
    boolean busy() {
        return unanswered != null;
    }

    /** Whether the connection is to be closed, and answers no more requests. */
    boolean closing() {
        return closing;
    }

    /** Why the request whose turn it is cannot be handled: it is not HTTP, or too large, or too much is under way. */
    Optional<Throwable> failure() {
        return lastRequest() ? Optional.ofNullable(failure) : Optional.empty();
    }

    /** Whether the request whose turn it is is the last one, as nothing was read after it. */
    boolean lastRequest() {
        return deaf && unwritten == 1;
    }

    /** The request whose turn it is has been served from the cache, for this token. */
    void hit(ServiceAccountToken token) {
        hit = token;
    }

    /** A request waits for its answer; to be abandoned if the connection closes. */
    void waits(Waiting request) {
        waiting = Optional.of(request);
    }

    /** The request that waited is about to be answered. Vert.x gives the requests of a connection one after another. */
    void waitsNoMore() {
        waiting = Optional.empty();
    }

    /** Reads no more for a while: the source is over its rate, and turning requests away costs something too. */
    void pause() {
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
        waiting.ifPresent(Waiting::abandon);
        waiting = Optional.empty();
    }

    /** Closes the connection at once, whatever the client has not taken yet. */
    void close() {
        closing = true;
        deaf = true;
        // Not the channel: Vert.x would first wait for what is written to be sent.
        context.close();
    }

    /** From now on takes no more requests; the answer that is about to be written is the last. Closes once it is sent. */
    void lastAnswer() {
        closing = true;
        deaf = true;
        drop();
        // Whoever goes on sending is never idle, even if it does not read.
        startTimer(this::close, limits.headerTimeout());
    }

    @Override
    public void handlerAdded(ChannelHandlerContext added) {
        context = added;
        below = channel.pipeline().context(ENCODER);
    }

    @Override
    public void channelRead(ChannelHandlerContext same, Object message) throws Exception {
        if (!(message instanceof ByteBuf bytes)) {
            context.fireChannelRead(message);
            return;
        }
        try {
            read(bytes);
        } catch (TooLongFrameException e) {
            drop();
            connections.rejected(Limit.HEADERS, source);
            pass(HeadDecoder.refused(e), 0);
        } finally {
            ReferenceCountUtil.release(bytes);
        }
    }

    private void read(ByteBuf bytes) throws Exception {
        if (!busy() && !deaf && !heads.begun() && answerHit(bytes)) {
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

    /** Answers the one request that these bytes are at once, if it is a cache hit like another one before. */
    private boolean answerHit(ByteBuf bytes) {
        HitPath path = connections.hits();
        HitPath.Hit answer = path == null ? null : path.answer(bytes, source, context.alloc());
        if (answer == null) {
            return false;
        }
        if (answer.last()) {
            lastAnswer();
        }
        int cost = limits.cost(answer.bytes().readableBytes(), 0);
        // Past Vert.x's encoder: these bytes are a whole response.
        ChannelFuture written = below.writeAndFlush(answer.bytes());
        if (!written.isDone()) {
            payUntilSent(written, cost);
        } else if (closing) {
            closeGently();
        }
        return true;
    }

    /** The client does not take its answer at once: what is left of it stays in memory. */
    private void payUntilSent(ChannelFuture written, int cost) {
        if (!shares.take(source, cost)) {
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
        int cost = limits.cost(bytes.readableBytes(), heads.lines());
        if (shares.take(source, cost)) {
            ByteBuf whole = bytes.duplicate();
            HeadDecoder.Head head = connections.decoder().decode(bytes);
            pass(head, cost);
            if (hit != null && connections.hits() != null) {
                connections.hits().learn(whole, head, hit);
            }
            hit = null;
        } else {
            connections.rejected(Limit.REQUEST_BYTES, source);
            pass(HeadDecoder.refused(OVER_BUDGET), 0);
        }
    }

    /** Gives Vert.x a request. */
    private void pass(HeadDecoder.Head head, int cost) {
        if (unanswered == null) {
            unanswered = new ArrayDeque<>(2);
        }
        unanswered.add(cost);
        unwritten++;
        connections.asked();
        if (unanswered.size() > ConnectionLimits.MOST_UNANSWERED) {
            // Vert.x sends the answers to what was read together when all of it has been handled.
            context.flush();
        }
        if (busy() && unanswered.size() > ConnectionLimits.MOST_UNANSWERED) {
            connections.rejected(Limit.PIPELINED_REQUESTS, source);
            close();
            return;
        }
        // What follows could be a body, or the rest of what cannot be read, or is not to be answered.
        failure = head.failure();
        deaf = !head.complete() || head.last();
        context.fireChannelRead(head.request());
        if (head.complete()) {
            context.fireChannelRead(LastHttpContent.EMPTY_LAST_CONTENT);
        }
    }

    private void keepUnfinished() {
        int more = heads.kept() - unfinished;
        if (more > 0 && !shares.take(source, more)) {
            connections.rejected(Limit.REQUEST_BYTES, source);
            drop();
            close();
            return;
        }
        unfinished += more;
        if (timer.isEmpty()) {
            startTimer(this::headersLate, limits.headerTimeout());
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

    @Override
    public void write(ChannelHandlerContext same, Object message, ChannelPromise promise) {
        if (message instanceof LastHttpContent) {
            unwritten--;
            context.write(message, promise.unvoid()).addListener(sent);
        } else {
            context.write(message, promise);
        }
    }

    private void answerSent() {
        if (closed) {
            return;
        }
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
            shares.give(source, bytes);
        }
    }

    /** Has no stack trace: it says nothing of the agent, and there is one for many. */
    private static final class OverBudget extends RuntimeException {

        OverBudget() {
            super("too much is under way", null, false, false);
        }
    }
}
