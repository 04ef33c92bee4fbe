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
 * Accepts connections for credentials, on the event loop itself: most SDKs open one for each request, so that handing it
 * from thread to thread would cost more than the answer. What cannot be accepted yet waits in the kernel.
 */
final class CredentialsAcceptor implements Acceptor {

    private static final ChannelOption<Boolean> REUSE_PORT = NioChannelOption.of(StandardSocketOptions.SO_REUSEPORT);

    /** Looks at the connections in the time after which an idle one is closed: a timer for each would cost more than a hit. */
    private static final int LOOKS = 4;

    private final EventLoop loop;
    private final Function<String, Future<InetAddress>> resolver;
    private final Connections connections;
    private final CredentialsConnection.Requests requests;
    private final Optional<HitPath> hits;
    private final Duration lookInterval;
    private boolean looking;

    /**
     * @param loop on which everything happens
     * @param resolver looks up a host that is not an IP address; completes on the event loop
     * @param connections bounds those that are open
     * @param hits the short way to the answer of a cache hit, if there is one
     * @param idleTimeout after which a connection is closed on which nothing moves, or at most a quarter of it later
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
                // Not on the socket that accepts, which costs less: what is accepted would offer so small a window from the start
                // that the kernel of a client on the same machine sends a long token in parts, with long waits between them.
                .childOption(ChannelOption.SO_RCVBUF, Listeners.SOCKET_BUFFER)
                .childOption(ChannelOption.SO_SNDBUF, Listeners.SOCKET_BUFFER)
                // As much is read at once, into a buffer that is free again when all of it has been handled.
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

    /** Closes what there is no room for, before anything is made for it. */
    private final class Admission extends ChannelInboundHandlerAdapter {

        private final Runnable opened;

        Admission(Runnable opened) {
            this.opened = opened;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            opened.run();
            Channel accepted = (Channel) message;
            // Reset by the client in the meantime, it has no address.
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

        /** The JDK closes a socket that is registered with a selector at the selector's next turn, and not before. */
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
