package dev.podidentity.agent.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import java.io.IOException;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** Checks every byte sent over the socket, with responses recorded from a kernel in the byte order of x86-64 and arm64. */
class SocketDiagnosisTest {

    private static final int PORT = 18099;
    private static final String NO_IPV4 = "14000000 0300 0200 02000000 dc5e0000 00000000";
    private static final String END_OF_IPV6 = "14000000 0300 0200 0a000000 dc5e0000 00000000";
    /** An IPv4 address on a dual-stack socket, with one connection waiting to be accepted. */
    private static final String MAPPED = "84000000 1400 0200 0a000000 dc5e0000"
            + "0a0a0000 46b30000 00000000 00000000 0000ffff 7f000001 00000000 00000000 00000000 00000000 00000000 3c000000 00000000"
            + "00000000 01000000 05000000 00000000 81c99200"
            + "0500080000000000 05000b0000000000 08000f0000000000 0c00150001000000 00000000 0600160012000000";

    private final ScriptedSocket socket = new ScriptedSocket();
    private final SocketDiagnosis kernel = new SocketDiagnosis(socket);

    @Test
    void asksForThoseThatListenOnAPortInBothFamilies() throws IOException {
        // Given
        answer(NO_IPV4);
        answer(END_OF_IPV6);
        // When
        assertThat(kernel.listening(PORT)).isEmpty();
        // Then
        assertThat(socket.sent()).containsExactly(
                bytes("48000000 1400 0103 02000000 00000000 02060000 00040000 46b30000" + "00000000".repeat(9) + "ffffffff"
                        + " ffffffff"),
                bytes("48000000 1400 0103 0a000000 00000000 0a060000 00040000 46b30000" + "00000000".repeat(9) + "ffffffff"
                        + " ffffffff"));
    }

    @Test
    void readsThoseThatListen() throws IOException {
        // Given
        answer(NO_IPV4);
        answer(MAPPED);
        answer(END_OF_IPV6);
        // Then
        assertThat(kernel.listening(PORT))
                .containsExactly(new ListeningSocket(InetAddress.getByName("127.0.0.1"), PORT, 1, 9619841));
    }

    @Test
    void readsThoseOfOneFamilyFromOneDatagram() throws IOException {
        // Given: a response without attributes, as from an old kernel
        String ipv4 = "58000000 1400 0200 02000000 dc5e0000"
                + "020a0000 00500000 a9feaa17" + "00000000".repeat(7) + "00000000 3c000000 00000000"
                + "00000000 00000000 fcff0000 07000000 08000000";
        answer(ipv4, NO_IPV4);
        answer(END_OF_IPV6);
        // Then
        assertThat(kernel.listening(80))
                .containsExactly(new ListeningSocket(InetAddress.getByName("169.254.170.23"), 80, 0, 8));
    }

    @Test
    void failsAtAMessageThatIsTooShort() {
        // Given
        answer("14000000 1400 0200 02000000 dc5e0000 020a0000");
        // Then
        assertThatIOException().isThrownBy(() -> kernel.listening(PORT)).withMessageContaining("body of 4 bytes");
    }

    @Test
    void passesOverAnswersToAnotherRequest() throws IOException {
        // Given
        answer("14000000 0300 0200 07000000 dc5e0000 00000000");
        answer(NO_IPV4);
        answer(END_OF_IPV6);
        // Then
        assertThat(kernel.listening(PORT)).isEmpty();
    }

    @Test
    void failsWithTheKernelsWordWhereItDoesNotTell() {
        // Given: the error ENOENT
        answer("24000000 0200 0000 02000000 dc5e0000 feffffff 48000000 1400 0103 02000000 00000000");
        // Then
        assertThatIOException().isThrownBy(() -> kernel.listening(PORT)).withMessageContaining("ENOENT");
    }

    @Test
    void failsWhereTheKernelEndsInTheMiddle() {
        // Given
        answer(NO_IPV4);
        answer(MAPPED);
        // Then
        assertThatIOException().isThrownBy(() -> kernel.listening(PORT)).withMessageContaining("no response");
    }

    private void answer(String... messages) {
        socket.answer(Arrays.stream(messages).map(SocketDiagnosisTest::bytes).toArray(byte[][]::new));
    }

    private static byte[] bytes(String hex) {
        return HexFormat.of().parseHex(hex.replace(" ", ""));
    }
}
