# Runs one script of a job inside the container, started as: perl runner.pl NAME LIMIT_S.
#
# BuildKit discards failed steps and all but two megabytes of a log. So this program always exits with status 0 and writes
# the result to /reef/records: NAME.log is the whole output, NAME has the status, the wall time and the peak memory
# (resident bytes, summed over all processes). A tunnel to a storage outside (tunnel.pl), if any, is open while the script
# runs and is not measured. The program needs no more than Debian's perl-base.
use strict;
use warnings;
use POSIX ();

my ($name, $limit_s) = @ARGV;
my ($records, $sample_s, $grace_s) = ('/reef/records', 0.5, 5);
my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());
my ($peak, $ended, $state, $tunnel) = (0, 0, 0, 0);
my ($socket, $port) = ('/reef/tunnel.sock', 7070);

sub now {    # seconds since boot; perl-base has no clock finer than a second
    open my $file, '<', '/proc/uptime' or die "no /proc/uptime: $!";
    return (split ' ', <$file>)[0];
}

sub sample {
    my $sum = 0;
    for my $statm (glob '/proc/[0-9]*/statm') {
        my ($pid) = $statm =~ /(\d+)/;
        next if $pid == $$ || ($tunnel && (getpgrp($pid) // 0) == $tunnel);
        open my $file, '<', $statm or next;    # the process has ended
        my @pages = split ' ', <$file> // next;
        $sum += $pages[1] * $page;
    }
    $peak = $sum if $sum > $peak;
}

sub record {
    my ($status, $seconds) = @_;
    open my $file, '>', "$records/$name" or die "$records/$name: $!";
    print {$file} "$status $seconds $peak\n";
    close $file or die "$records/$name: $!";
}

sub dig {    # returns once the tunnel is open or has failed; its own process group separates it from the script
    pipe my $reader, my $writer or die "pipe: $!";
    $tunnel = fork // die "fork: $!";
    if (!$tunnel) {
        setpgrp;
        open STDOUT, '>&', $writer or die $!;
        exec $^X, '/reef/tunnel.pl', $socket, $port or die "tunnel.pl: $!";
    }
    close $writer;
    readline $reader;
}

mkdir $records;
if ($name ne 'fetch' && open my $before, '<', "$records/fetch") {
    exit 0 if (split ' ', <$before>)[0] ne '0';
}

if ($name eq 'fetch') {    # apt's access to mirrors
    system '/bin/sh', '/reef/apt-access.sh' and die "apt-access.sh: $?";
    $ENV{APT_CONFIG} = '/reef/apt/apt.conf' if -e '/reef/apt/apt.conf';
}
dig() if -S $socket;
my $started = now();
pipe my $reader, my $writer or die "pipe: $!";
my $child = fork // die "fork: $!";
if (!$child) {
    POSIX::setsid();
    open STDIN, '<', '/dev/null' or die $!;
    open STDOUT, '>&', $writer or die $!;
    open STDERR, '>&', $writer or die $!;
    exec '/bin/sh', '-eu', "/reef/$name.sh" or die "sh: $!";
}
close $writer;
open my $log, '>', "$records/$name.log" or die "$records/$name.log: $!";
$| = 1;

my ($next, $killed) = ($started, undef);
while (1) {
    my $ready = '';
    vec($ready, fileno $reader, 1) = 1;
    # After the script's end only the content of the pipe counts: a process that it left may keep the pipe open.
    if (select($ready, undef, undef, $ended ? 0 : $sample_s) > 0) {
        my $got = sysread $reader, my $chunk, 65536;
        if ($got) { print $chunk; print {$log} $chunk; }
        elsif (!$ended) { waitpid $child, 0; $state = $?; last; }
        else { last; }
    }
    elsif ($ended) { last; }
    if (!$ended && waitpid($child, POSIX::WNOHANG()) == $child) { ($ended, $state) = (1, $?); next; }
    my $time = now();
    if ($time >= $next) { sample(); $next = $time + $sample_s; }
    if ($limit_s && $time - $started > $limit_s) {
        if (!$killed) { kill 'TERM', -$child; $killed = $time; }
        elsif ($time - $killed > $grace_s) { kill 'KILL', -$child; }
    }
}
close $log or die "$records/$name.log: $!";
if ($tunnel) { kill 'KILL', -$tunnel; waitpid $tunnel, 0; }
my $status = $killed ? 'timeout' : $state & 127 ? 128 + ($state & 127) : $state >> 8;
record($status, now() - $started);
print "reef-ended $name $status\n";
