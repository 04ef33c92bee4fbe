package dev.podidentity.agent.http;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.channels.SocketChannel;
import java.nio.channels.UnsupportedAddressTypeException;

/** Which addresses this node has. Blocks. */
final class NodeAddresses {

    private NodeAddresses() {}

    /**
     * Whether something could be bound at an address of this node, if its port were free and allowed. What a failed bind
     * says does not tell: one exception stands for an address that is not there and for a port that somebody else has.
     *
     * @param host an IP address, or a name
     * @throws IOException if that cannot be found out
     */
    static boolean has(String host) throws IOException {
        InetAddress address = InetAddress.getByName(host);
        try (SocketChannel socket = SocketChannel.open()) {
            // Any free port; nothing listens there.
            socket.bind(new InetSocketAddress(address, 0));
            return true;
        } catch (UnsupportedAddressTypeException e) {
            // An IPv6 address on a node where IPv6 is disabled: Java then has IPv4 sockets only.
            return false;
        } catch (SocketException e) {
            return address.isAnyLocalAddress() ? hasFamilyOf(address) : NetworkInterface.getByInetAddress(address) != null;
        }
    }

    private static boolean hasFamilyOf(InetAddress any) throws SocketException {
        return NetworkInterface.networkInterfaces()
                .flatMap(NetworkInterface::inetAddresses)
                .anyMatch(address -> address.getClass() == any.getClass());
    }
}
