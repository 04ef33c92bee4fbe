package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.SocketTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The default without verification: only EKS Auth verifies tokens, even in a pod that has all that verification would need.
 */
class VerificationOffIT {

    @TempDir
    private Path serviceAccount;

    private EksAuthEmulator emulator;
    /** Accepts no connection, but queues all of them. */
    private ServerSocket apiServer;
    private AgentProcess agent;

    @BeforeEach
    void start() throws IOException {
        emulator = Emulators.start();
        apiServer = new ServerSocket(0, 10, InetAddress.getByName(AgentProcess.LOOPBACK));
        Files.writeString(serviceAccount.resolve("token"), Emulators.token(emulator, "agent"));
        agent = AgentProcess.start(emulator, Map.of(
                        "NODE_NAME", Cluster.NODE,
                        "KUBERNETES_SERVICE_HOST", AgentProcess.LOOPBACK,
                        "KUBERNETES_SERVICE_PORT", Integer.toString(apiServer.getLocalPort())),
                "--service-account-path", serviceAccount.toString());
    }

    @AfterEach
    void stop() throws IOException {
        agent.close();
        apiServer.close();
        emulator.close();
    }

    private RawHttp.Answer ask(String token) throws IOException {
        return RawHttp.askAsSdk(agent.port(), token);
    }

    @Test
    void eachTokenStandsForItselfAndNobodyAsksTheApiServer() throws IOException {
        // When
        RawHttp.Answer first = ask(Emulators.token(emulator, "pod-1"));
        RawHttp.Answer second = ask(Emulators.token(emulator, "pod-2"));
        String forged = ForgedTokens.withClaims(
                Emulators.token(emulator, "pod-1"), Cluster.claims(Emulators.token(emulator, "pod-2")));
        RawHttp.Answer third = ask(forged);

        // Then
        assertThat(first.status()).isEqualTo(200);
        assertThat(second.status()).isEqualTo(200);
        assertThat(second.body()).isNotEqualTo(first.body());
        assertThat(third.status()).isEqualTo(400);
        assertThat(emulator.calls(forged)).as("EKS Auth verifies it").isOne();
        assertThat(emulator.calls()).isEqualTo(3);
        apiServer.setSoTimeout(1);
        assertThatThrownBy(apiServer::accept).isInstanceOf(SocketTimeoutException.class);
    }

    @Test
    void theNodeThatATokenNamesIsNotLookedAt() throws IOException {
        assertThat(ask(emulator.tokens().mint(emulator.tokens()
                                .request(Emulators.NAMESPACE, Emulators.SERVICE_ACCOUNT, "pod-1")
                                .withNode("node-2")))
                        .status())
                .isEqualTo(200);
    }
}
