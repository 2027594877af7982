# cmake --install and CPack (.deb, .tar.gz).
