package dev.podidentity.agent.http;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.nio.NioChannelOption;
import io.vertx.core.impl.transports.JDKTransport;
import io.vertx.core.net.NetServerOptions;
import java.net.StandardSocketOptions;

/**
 * The JDK's transport with SO_REUSEPORT, which Vert.x itself sets only on native transports. Vert.x finds it through {@code
 * META-INF/services} if a native transport is preferred.
 */
public final class ReusePortTransport extends JDKTransport {

    private static final ChannelOption<Boolean> REUSE_PORT = NioChannelOption.of(StandardSocketOptions.SO_REUSEPORT);

    @Override
    public void configure(NetServerOptions options, boolean domainSocket, ServerBootstrap bootstrap) {
        super.configure(options, domainSocket, bootstrap);
        if (options.isReusePort()) {
            bootstrap.option(REUSE_PORT, true);
        }
    }
}
