package dev.podidentity.agent.http;

import dev.podidentity.agent.credentials.CredentialService.Waiting;
import dev.podidentity.agent.token.ServiceAccountToken;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.Queue;
import org.jboss.logging.Logger;

/**
 * A connection for credentials: the only handler in its pipeline. Has its requests handled one after another, each when the
 * previous one has its response. Confined to the event loop.
 */
final class CredentialsConnection extends ClientConnection {

    private static final Logger LOG = Logger.getLogger(CredentialsConnection.class);

    private final Requests requests;
    private final Optional<HitPath> hits;
    /** Requests that were sent before the response to an earlier one. Null if there were none, since no SDK does this. */
    private Queue<HeadDecoder.Head> queued;
    private Optional<Waiting> waiting = Optional.empty();
    /** Whether a request has no response yet. */
    private boolean asked;
    /** The bytes of the current request; null once they have been released. */
    private ByteBuf whole;
    private HeadDecoder.Head head;
    private boolean reading;
    private boolean unflushed;

    /** Handles requests for credentials, on the event loop. */
    @FunctionalInterface
    interface Requests {

        /** Handles a request, and responds with {@link CredentialsConnection#answer} now or later. */
        void handle(HeadDecoder.Head head, CredentialsConnection client);
    }

    /** @param hits the fast path for cache hits, if there is one */
    CredentialsConnection(
            Channel channel, String source, Connections connections, Requests requests, Optional<HitPath> hits) {
        super(channel, source, connections);
        this.requests = requests;
        this.hits = hits;
    }

    /** The current request waits for its result. If the connection closes, it is abandoned. */
    void waits(Waiting request) {
        waiting = Optional.of(request);
    }

    /** The current request is a cache hit, so the fast path can serve others like it. */
    void hit(ServiceAccountToken token) {
        if (whole != null) {
            hits.ifPresent(path -> path.learn(whole, head, token));
        }
    }

    /** Returns the channel to which responses are written. */
    ByteBufAllocator buffers() {
        return context().alloc();
    }

    /**
     * Responds to the current request.
     *
     * @param response the complete response
     * @param last whether the connection accepts no more requests, and closes once this has been sent
     */
    void answer(ByteBuf response, boolean last) {
        waiting = Optional.empty();
        asked = false;
        if (!channel().isOpen()) {
            response.release();
            return;
        }
        if (last) {
            lastAnswer();
            forgetQueued();
        }
        answered(context().write(response));
        unflushed = true;
        if (!reading) {
            handleQueued();
            flush();
        }
    }

    @Override
    void handle(HeadDecoder.Head next, ByteBuf bytes) {
        reading = true;
        if (asked || (queued != null && !queued.isEmpty())) {
            if (queued == null) {
                queued = new ArrayDeque<>(2);
            }
            queued.add(next);
            return;
        }
        asked = true;
        head = next;
        whole = bytes;
        requests.handle(next, this);
        head = null;
        whole = null;
    }

    private void handleQueued() {
        reading = true;
        while (!asked && !closing() && queued != null && !queued.isEmpty()) {
            asked = true;
            requests.handle(queued.remove(), this);
        }
        reading = false;
    }

    private void forgetQueued() {
        if (queued != null) {
            forgetLast(queued.size());
            queued = null;
        }
    }

    @Override
    boolean answerAtOnce(ByteBuf bytes) {
        HitPath.Hit hit = hits.isEmpty() ? null : hits.get().answer(bytes, source(), buffers());
        if (hit == null) {
            return false;
        }
        if (hit.last()) {
            lastAnswer();
        }
        int cost = connections().limits().cost(hit.bytes().readableBytes(), 0);
        answeredAtOnce(context().writeAndFlush(hit.bytes()), cost);
        return true;
    }

    @Override
    void readAll() {
        handleQueued();
        flush();
    }

    private void flush() {
        if (unflushed) {
            unflushed = false;
            context().flush();
        }
    }

    @Override
    void closed() {
        super.closed();
        queued = null;
        waiting.ifPresent(Waiting::abandon);
        waiting = Optional.empty();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext same, Throwable cause) {
        if (!(cause instanceof IOException)) {
            LOG.error("A request could not be handled", cause);
        }
        close();
    }
}
