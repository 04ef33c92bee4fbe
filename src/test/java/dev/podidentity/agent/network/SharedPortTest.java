package dev.podidentity.agent.network;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.network.SharedPort.Listening;
import dev.podidentity.agent.network.SharedPort.State;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.channels.ServerSocketChannel;
import org.junit.jupiter.api.Test;

/** Uses sockets of this process. HandoverIT tests ports that other processes use. */
class SharedPortTest {

    private static final InetAddress LOOPBACK = InetAddress.getLoopbackAddress();

    @Test
    void isFreeWhenNobodyListens() throws IOException {
        // Given
        SharedPort port;
        try (ServerSocketChannel server = listen(true)) {
            port = on(server);
            // When: the server closes first, so the kernel keeps the connection for a while
            try (Socket client = new Socket(LOOPBACK, server.socket().getLocalPort())) {
                server.accept().close();
                assertThat(client.getInputStream().read()).isEqualTo(-1);
            }
        }
        // Then
        assertThat(port.state()).isEqualTo(State.FREE);
    }

    @Test
    void isSharedWithWhoeverLetsOthersListen() throws IOException {
        try (ServerSocketChannel server = listen(true)) {
            assertThat(on(server).state()).isEqualTo(State.SHARED);
        }
    }

    @Test
    void isClosedByWhoeverLetsNobody() throws IOException {
        try (ServerSocketChannel server = listen(false)) {
            assertThat(on(server).state()).isEqualTo(State.CLOSED);
        }
    }

    @Test
    void isClosedWhereThereIsNoSuchAddress() throws IOException {
        assertThat(new SharedPort("192.0.2.1", 80).state()).isEqualTo(State.CLOSED);
    }

    @Test
    void tellsItsOwnSocketsFromOthersAndWhatWaitsToBeAccepted() throws IOException {
        try (ServerSocketChannel server = listen(true)) {
            // Given
            SharedPort port = on(server);
            assertThat(port.look()).isEqualTo(new Listening(0, 0));
            // When
            try (Socket client = new Socket(LOOPBACK, server.socket().getLocalPort())) {
                // Then
                assertThat(client.isConnected()).isTrue();
                assertThat(port.look()).isEqualTo(new Listening(0, 1));
                server.accept().close();
                assertThat(port.look()).isEqualTo(new Listening(0, 0));
            }
        }
    }

    @Test
    void cannotSendConnectionsElsewhereOnAJvm() throws IOException {
        try (ServerSocketChannel server = listen(true)) {
            assertThat(on(server).steer(1)).isFalse();
        }
    }

    private static ServerSocketChannel listen(boolean sharing) throws IOException {
        ServerSocketChannel server = ServerSocketChannel.open();
        server.setOption(StandardSocketOptions.SO_REUSEPORT, sharing);
        server.bind(new InetSocketAddress(LOOPBACK, 0));
        return server;
    }

    private static SharedPort on(ServerSocketChannel server) {
        return new SharedPort(LOOPBACK.getHostAddress(), server.socket().getLocalPort());
    }
}
