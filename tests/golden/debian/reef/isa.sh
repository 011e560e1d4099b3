# Which instructions do programs and libraries of armhf need beyond Debian's baseline of ARMv7 with VFPv3-D16?
# The linker records them (Tag_Advanced_SIMD_arch in .ARM.attributes). neon-support installs only where the CPU has NEON.
# Raspbian's armhf is ARMv6: there dpkg takes these packages, whose programs would end by an illegal instruction.
isa_of() {
    LC_ALL=C find "debian/$1" -type f -exec sh -c '
        for file; do
            facts=$(readelf --file-header --arch-specific "$file" 2>/dev/null) || continue
            case $facts in *Tag_CPU_arch_profile:\ Microcontroller*) continue ;; esac
            case $facts in *Machine:*ARM*) ;; *) continue ;; esac
            case $facts in *Type:*DYN\ \(*|*Type:*EXEC\ \(*) echo elf ;; *) continue ;; esac
            # VFPv3 is VFPv3-D32, which each CPU with NEON has.
            echo "$facts" | grep -Eq "Tag_(Advanced_SIMD_arch: NEON|FP_arch: VFPv3$)" && echo neon
        done
    ' sh {} + | sort -u | tr "\n" " "
}

for package in libreef-greet1 libreef-greet-dev reef-hello; do
    isa=
    [ "$(dpkg-architecture -qDEB_HOST_ARCH)" != armhf ] || [ ! -d "debian/$package" ] || isa=$(isa_of "$package")
    neon=
    case $isa in *neon*) neon="neon-support" ;; esac
    echo "isa:Depends=$neon" >> "debian/$package.substvars"
    case $isa in *elf*)
        cat >> "debian/$package.preinst.debhelper" <<END
# Added by Reef to packages with programs or libraries for armhf
case \$1-\$(uname -m) in
install-armv[3-6]* | upgrade-armv[3-6]*)
    echo "$package needs an ARMv7 CPU, as all of Debian's armhf. This board's is older: \$(uname -m)." >&2
    echo "Raspberry Pi 1, Zero and Zero W are such boards; their system, Raspbian, calls its CPU armhf too." >&2
    exit 1
    ;;
esac
# End of what Reef added
END
        ;;
    esac
done
