package dev.podidentity.agent.http;

import dev.podidentity.agent.loop.EventLoop;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.socket.nio.NioChannelOption;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.NetUtil;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Function;

/**
 * Accepts connections for credentials on the event loop itself. Most SDKs open a connection for each request, so passing it
 * between threads would cost more than the response. Connections that cannot be accepted yet wait in the kernel.
 */
final class CredentialsAcceptor implements Acceptor {

    private static final ChannelOption<Boolean> REUSE_PORT = NioChannelOption.of(StandardSocketOptions.SO_REUSEPORT);

    /** Idle scans per idle timeout. A timer for each connection would cost more than a cache hit. */
    private static final int LOOKS = 4;

    private final EventLoop loop;
    private final Function<String, Future<InetAddress>> resolver;
    private final Connections connections;
    private final CredentialsConnection.Requests requests;
    private final Optional<HitPath> hits;
    private final Duration lookInterval;
    private boolean looking;

    /**
     * @param loop the event loop for everything
     * @param resolver resolves a host that is not an IP address; completes on the event loop
     * @param connections limits the open connections
     * @param hits the fast path for cache hits, if there is one
     * @param idleTimeout time without activity after which a connection is closed, or up to a quarter of it later
     */
    CredentialsAcceptor(
            EventLoop loop,
            Function<String, Future<InetAddress>> resolver,
            Connections connections,
            CredentialsConnection.Requests requests,
            Optional<HitPath> hits,
            Duration idleTimeout) {
        this.loop = loop;
        this.resolver = resolver;
        this.connections = connections;
        this.requests = requests;
        this.hits = hits;
        this.lookInterval = idleTimeout.dividedBy(LOOKS);
    }

    @Override
    public Future<Accepting> listen(String host, int port, Runnable opened) {
        InetAddress literal = NetUtil.createInetAddressFromIpAddressString(host);
        Future<InetAddress> address = literal == null ? resolver.apply(host) : Future.succeededFuture(literal);
        return address.compose(found -> bind(new InetSocketAddress(found, port), opened));
    }

    private Future<Accepting> bind(InetSocketAddress address, Runnable opened) {
        Promise<Accepting> bound = Promise.promise();
        ChannelFuture binding = new ServerBootstrap()
                .group(loop.netty())
                .channelFactory(NioServerSocketChannel::new)
                .option(ChannelOption.SO_BACKLOG, Listeners.BACKLOG)
                .option(ChannelOption.SO_REUSEADDR, true)
                // A new agent takes over from an old one while both listen.
                .option(REUSE_PORT, true)
                // Not set on the accepting socket, although that would cost less: accepted connections would offer such a
                // small window from the start that the kernel of a client on the same machine sends a long token in parts,
                // with long waits between them.
                .childOption(ChannelOption.SO_RCVBUF, Listeners.SOCKET_BUFFER)
                .childOption(ChannelOption.SO_SNDBUF, Listeners.SOCKET_BUFFER)
                // This much is read at once, into a buffer that is free again when all of it has been handled.
                .childOption(ChannelOption.RCVBUF_ALLOCATOR, new FixedRecvByteBufAllocator(Listeners.SOCKET_BUFFER))
                .handler(new Admission(opened))
                .childHandler(new Opening())
                .bind(address);
        binding.addListener(done -> {
            if (done.isSuccess()) {
                closeIdle();
                bound.complete(new Socket(binding.channel(), connections, loop));
            } else {
                bound.fail(done.cause());
            }
        });
        return bound.future();
    }

    private void closeIdle() {
        if (!looking) {
            looking = true;
            loop.schedule(lookInterval, () -> {
                looking = false;
                connections.closeIdle(LOOKS);
                closeIdle();
            });
        }
    }

    private static String source(Channel accepted) {
        return ((InetSocketAddress) accepted.remoteAddress()).getAddress().getHostAddress();
    }

    /** Closes connections for which there is no room, before anything is allocated for them. */
    private final class Admission extends ChannelInboundHandlerAdapter {

        private final Runnable opened;

        Admission(Runnable opened) {
            this.opened = opened;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            opened.run();
            Channel accepted = (Channel) message;
            // A connection that the client has already reset has no address.
            if (accepted.remoteAddress() != null && connections.admits(source(accepted))) {
                context.fireChannelRead(accepted);
            } else {
                accepted.unsafe().closeForcibly();
            }
        }
    }

    @ChannelHandler.Sharable
    private final class Opening extends ChannelInitializer<Channel> {

        @Override
        protected void initChannel(Channel accepted) {
            CredentialsConnection client =
                    new CredentialsConnection(accepted, source(accepted), connections, requests, hits);
            accepted.pipeline().addLast(client);
            connections.opened(client);
        }
    }

    private record Socket(Channel channel, Connections connections, EventLoop loop) implements Accepting {

        /** The JDK closes a socket that is registered with a selector only at the selector's next turn. */
        private static final Duration NEXT_TURN = Duration.ofMillis(1);

        @Override
        public int port() {
            return ((InetSocketAddress) channel.localAddress()).getPort();
        }

        @Override
        public Future<Void> stop() {
            Promise<Void> closed = Promise.promise();
            channel.close().addListener(done -> loop.schedule(NEXT_TURN, closed::complete));
            return closed.future();
        }

        @Override
        public Future<Void> close() {
            return stop().onComplete(stopped -> connections.close());
        }
    }
}
