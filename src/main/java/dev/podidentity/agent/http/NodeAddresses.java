package dev.podidentity.agent.http;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.channels.SocketChannel;
import java.nio.channels.UnsupportedAddressTypeException;

/** Finds out which addresses this node has. Blocks. */
final class NodeAddresses {

    private NodeAddresses() {}

    /**
     * Returns whether an address of this node could be bound if its port were free and permitted. A failed bind does not
     * tell: the same exception stands for a missing address and for a port in use.
     *
     * @param host an IP address or a name
     * @throws IOException if this cannot be determined
     */
    static boolean has(String host) throws IOException {
        InetAddress address = InetAddress.getByName(host);
        try (SocketChannel socket = SocketChannel.open()) {
            // Any free port; nothing listens on it.
            socket.bind(new InetSocketAddress(address, 0));
            return true;
        } catch (UnsupportedAddressTypeException e) {
            // An IPv6 address on a node where IPv6 is disabled: Java then has only IPv4 sockets.
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
